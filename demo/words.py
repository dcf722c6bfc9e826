"""What the demo says, in French and English."""

from __future__ import annotations

import os
from collections.abc import Mapping

Words = Mapping[str, str]

_WORDS: dict[str, Words] = {
    "en": {
        "starting": "Starting the platform",
        "started": "The platform answers",
        "beside": "A platform is running already; the demo uses it",
        "catcher": "Caught mail",
        "founding": "Founding two communities",
        "importing": "Importing",
        "created": "created",
        "changed": "changed",
        "left": "left as they were",
        "refused_rows": "values refused, with reasons",
        "sending": "Sending",
        "reading": "Readers open, click, buy and leave",
        "counting": "The figures settle",
        "report": "The picture",
        "query": "See it yourself: sign in, then ask this",
        "stays": "The platform stays up. Ctrl-C ends it.",
        "sign_in": "Operator",
        "planned": "in the audience",
        "skipped": "not written to",
        "accepted": "accepted by their server",
        "refused": "refused by their server",
        "unknown": "unknown: sent, no answer read",
        "opened": "opened",
        "clicked": "clicked",
        "converted": "bought",
        "unsubscribed": "unsubscribed",
        "people": "people",
        "machines": "programs (scanners, prefetching proxies)",
        "machines_short": "programs",
        "funnel": "What came of it",
        "why_not": "Why not",
        "members": "members",
        "addresses": "addresses",
        "objective": "The objective",
        "target": "target",
        "expected": "where a steady pace would stand today",
        "deadline": "by",
        "forecast": "Forecast:",
        "other_language": "Français",
        "title": "A campaign, from the list to the till",
        "counted": "Counted in members, who share",
        "untracked": "Opens and clicks are counted only for members who may be tracked.",
    },
    "fr": {
        "starting": "Démarrage de la plateforme",
        "started": "La plateforme répond",
        "beside": "Une plateforme tourne déjà ; la démonstration s’en sert",
        "catcher": "Courrier reçu",
        "founding": "Fondation de deux communautés",
        "importing": "Import de",
        "created": "créés",
        "changed": "modifiés",
        "left": "laissés tels quels",
        "refused_rows": "valeurs refusées, avec leurs raisons",
        "sending": "Envoi",
        "reading": "Les lecteurs ouvrent, cliquent, achètent et partent",
        "counting": "Les chiffres se posent",
        "report": "L’image",
        "query": "Pour le voir vous-même : connectez-vous, puis demandez ceci",
        "stays": "La plateforme reste debout. Ctrl-C l’arrête.",
        "sign_in": "Opérateur",
        "planned": "dans l’audience",
        "skipped": "non écrits",
        "accepted": "acceptés par leur serveur",
        "refused": "refusés par leur serveur",
        "unknown": "inconnus : envoyés, sans réponse lue",
        "opened": "ont ouvert",
        "clicked": "ont cliqué",
        "converted": "ont acheté",
        "unsubscribed": "désinscrits",
        "people": "personnes",
        "machines": "programmes (analyseurs, relais qui préchargent)",
        "machines_short": "programmes",
        "funnel": "Ce qui en est sorti",
        "why_not": "Pourquoi pas",
        "members": "membres",
        "addresses": "adresses",
        "objective": "L’objectif",
        "target": "cible",
        "expected": "où en serait aujourd’hui une allure régulière",
        "deadline": "pour le",
        "forecast": "Prévision :",
        "other_language": "English",
        "title": "Une campagne, de la liste à la caisse",
        "counted": "Compté en membres, qui se partagent",
        "untracked": "Ouvertures et clics ne sont comptés que pour les membres qu’on a le droit de suivre.",
    },
}
LANGUAGES = tuple(_WORDS)


def words(language: str) -> Words:
    return _WORDS[language]


def terminal_language(environment: Mapping[str, str] = os.environ) -> str:
    """French where the terminal is French; else English."""
    chosen = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "fr" if chosen.startswith("fr") else "en"
