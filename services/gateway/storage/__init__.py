"""What the gateway keeps: agencies, operators, sessions, keys, the audit log, and requests to unsubscribe."""
