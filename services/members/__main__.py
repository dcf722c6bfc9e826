"""``python -m services.members serve | work | both | parked | replay``."""

from services.kit.process import main
from services.members.settings import MembersSettings
from services.members.wiring import wire

if __name__ == "__main__":
    main("members", MembersSettings, wire)
