"""Who the community is: members, what justifies their presence, what they agreed to, and what they did.

The room's promise: nobody is written to without a basis that can be shown, and nobody is lost by a merge or an import.
"""
