"""What can be asked of the members room, one file per capability: load, ask the model, save."""
