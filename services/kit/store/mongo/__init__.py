"""The store on MongoDB: one database for each service, its collections and indexes derived from the same documents."""
