"""What members meet: links and pixels of messages, and the pages where they say what they want. Nothing here changes
on GET or HEAD: mail scanners follow links, people press buttons."""
