"""What is served over HTTP besides the public pages: the graph, its explorer, files and events coming in."""
