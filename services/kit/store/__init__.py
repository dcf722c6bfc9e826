"""Documents: one port, two engines. ``port`` says what may be asked, ``rule`` is how one asks."""
