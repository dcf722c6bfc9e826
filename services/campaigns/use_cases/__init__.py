"""What campaigns can do, one file per capability, each function a verb: load, ask the model, save."""
