"""How a list becomes members: read as it comes, mapped, interpreted restrictively, planned, shown, and undoable."""
