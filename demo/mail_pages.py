"""The caught mail in a browser: a list, and each message as HTML (in a sandbox), text, headers and source."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

from flask import Flask, Response, abort, render_template, request
from werkzeug.serving import BaseWSGIServer, make_server

from demo.catcher import Caught, Mailbox

_PAGE = 50
_WORDS = {
    "fr": {
        "title": "Courrier reçu",
        "caught": "messages reçus",
        "to": "À",
        "from": "De",
        "subject": "Objet",
        "at": "Reçu",
        "search": "Chercher un destinataire ou un objet",
        "none": "Rien à montrer : aucun message reçu, ou aucun qui corresponde.",
        "older": "Plus anciens",
        "newer": "Plus récents",
        "html": "Message",
        "text": "Texte",
        "headers": "En-têtes",
        "source": "Source",
        "back": "Tous les messages",
        "no_text": "Ce message n’a pas de partie texte.",
        "note": "Ouvrir un message charge ses images : c’est une vraie lecture, et elle compte.",
    },
    "en": {
        "title": "Caught mail",
        "caught": "messages caught",
        "to": "To",
        "from": "From",
        "subject": "Subject",
        "at": "Caught",
        "search": "Search a recipient or a subject",
        "none": "Nothing to show: no message was caught, or none matches.",
        "older": "Older",
        "newer": "Newer",
        "html": "Message",
        "text": "Text",
        "headers": "Headers",
        "source": "Source",
        "back": "All messages",
        "no_text": "This message has no text part.",
        "note": "Opening a message loads its images: that is a real reading, and it counts.",
    },
}
# The message may be seen and its links opened in a new tab; it runs no script and reaches nothing of this page.
_SANDBOX = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "img-src http: https: data:; style-src 'unsafe-inline'"
)


def mail_pages(mailbox: Mailbox) -> Flask:
    app = Flask(__name__)

    @app.get("/")
    def every_message() -> str:
        search = request.args.get("search", "").strip()
        skip = max(0, request.args.get("skip", 0, int))
        found = mailbox.newest(search, skip, _PAGE + 1)
        return render_template(
            "mailbox.html",
            messages=found[:_PAGE],
            more=len(found) > _PAGE,
            skip=skip,
            page=_PAGE,
            search=search,
            count=mailbox.count,
            **_language(),
        )

    @app.get("/messages/<int:number>")
    def one_message(number: int) -> str:
        return render_template("message.html", message=_found(number), **_language())

    @app.get("/messages/<int:number>/html")
    def message_html(number: int) -> Response:
        body = '<base target="_blank">' + _found(number).html
        return Response(body, mimetype="text/html", headers={"Content-Security-Policy": _SANDBOX})

    @app.get("/messages/<int:number>/source")
    def message_source(number: int) -> Response:
        return Response(_found(number).source, mimetype="text/plain", headers={"X-Content-Type-Options": "nosniff"})

    @app.template_filter("clock")
    def clock(at: int) -> str:
        return datetime.fromtimestamp(at / 1_000, UTC).astimezone().strftime("%H:%M:%S")

    def _found(number: int) -> Caught:
        return mailbox.get(number) or abort(404)

    return app


class MailServer:
    """Serves the pages on a free port of this machine alone."""

    def __init__(self, mailbox: Mailbox, port: int = 0) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server: BaseWSGIServer = make_server("127.0.0.1", port, mail_pages(mailbox), threaded=True)
        self.port = self._server.server_port
        self.address = f"http://127.0.0.1:{self.port}/"
        threading.Thread(target=self._server.serve_forever, name="mail-pages", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()


def _language() -> dict[str, object]:
    asked = request.args.get("lang", "")
    lang = asked if asked in _WORDS else request.accept_languages.best_match(("fr", "en")) or "en"
    return {"lang": lang, "say": _WORDS[lang], "kept": f"lang={asked}" if asked in _WORDS else ""}
