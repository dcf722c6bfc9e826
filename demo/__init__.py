"""The main job, seen: real lists come in, real messages go out, readers answer, and the picture shows what came of it.

Everything goes through the public doors: GraphQL, the upload, `/v1/events`, SMTP, and the pages that messages link to.
"""
