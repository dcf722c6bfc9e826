"""What is being attempted, and whether it works.

The room's promise: a launched campaign is planned once, whatever crashes; its figures add up; and it is called finished
only when every member of its audience has received it, was refused with a reason, or is accounted for as unknown.
"""
