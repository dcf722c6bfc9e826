"""What a service and whoever starts or watches it have agreed on. It imports nothing, so that those stay small."""

READY_FILE = "FANFARE_READY_FILE"  # the supervisor names the file that a service writes once it answers
SUPERVISOR = "FANFARE_SUPERVISOR"  # ... and its own process, without which its services do not go on
PROGRAM = "FANFARE_PROGRAM"  # ... and what it calls the program, as its log file is called then
WRONG_SETTING = 2  # the exit status of a service that would fail again however often it is started
HEALTH_FILE = "FANFARE_HEALTH_FILE"  # a container names the file in which its process tells how it is
STUCK_AFTER = 15.0  # seconds without a sign of life
STOPPING = "stopping"  # what a process that ends says of itself
