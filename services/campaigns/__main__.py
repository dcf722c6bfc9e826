"""``python -m services.campaigns serve | work | both | parked | replay``."""

from services.campaigns.settings import CampaignsSettings
from services.campaigns.wiring import wire
from services.kit.process import main

if __name__ == "__main__":
    main("campaigns", CampaignsSettings, wire)
