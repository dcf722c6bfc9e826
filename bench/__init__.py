"""How fast, how big, and against what: one command per figure, each with its floor measured in the same run.

A *floor* is the same work with everything that Fanfare adds taken away, written as directly as the language allows. The
ratio of the two travels from machine to machine; the values do not.
"""
