"""How members are kept: documents and their indexes."""
