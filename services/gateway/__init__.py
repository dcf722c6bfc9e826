"""One view: the graph of everything for operators, the pages that members meet, and what partners send."""
