"""What a supervisor and its services have agreed on. It imports nothing, so that a supervisor stays small."""

READY_FILE = "FANFARE_READY_FILE"  # the supervisor names the file that a service writes once it answers
SUPERVISOR = "FANFARE_SUPERVISOR"  # ... and its own process, without which its services do not go on
PROGRAM = "FANFARE_PROGRAM"  # ... and what it calls the program, as its log file is called then
WRONG_SETTING = 2  # the exit status of a service that would fail again however often it is started
