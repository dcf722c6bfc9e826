"""``python -m services.channels serve | work | both | parked | replay``."""

from services.channels.settings import ChannelsSettings
from services.channels.wiring import wire
from services.kit.process import main

if __name__ == "__main__":
    main("channels", ChannelsSettings, wire)
