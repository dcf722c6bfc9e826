"""What an error says to a person, in French or in English.

The room that raises an error writes its English message; here is the French, by the error's reason. ``{names}`` are the
error's parameters.
"""

from __future__ import annotations

from services.kit.errors import FanfareError, Kind

LANGUAGES = ("en", "fr")

FRENCH_BY_KIND: dict[Kind, str] = {
    Kind.INVALID: "La demande contient une valeur qui ne convient pas : {english}",
    Kind.UNAUTHENTICATED: "Connectez-vous d’abord.",
    Kind.FORBIDDEN: "Vos droits ne le permettent pas : demandez-les à un propriétaire de l’agence.",
    Kind.NOT_FOUND: "Cela n’existe pas, ou n’est pas à vous.",
    Kind.CONFLICT: "L’état actuel ne le permet pas : {english}",
    Kind.EXHAUSTED: "Une limite est atteinte : réessayez plus tard.",
    Kind.UNAVAILABLE: "Un service ne répond pas : réessayez dans un instant.",
}

FRENCH: dict[str, str] = {
    "account-unknown": "Il n’y a pas de tel compte de canal.",
    "address-taken": "Un autre membre a déjà cette adresse : dites qu’ils la partagent, ou prenez-en une autre.",
    "already-cancelled": "La campagne a été annulée : créez-en une nouvelle.",
    "already-finished": "La campagne est terminée : créez-en une nouvelle.",
    "already-launched": "La campagne est déjà lancée.",
    "already-paused": "La campagne est déjà en pause.",
    "already-undone": "Cette fusion a déjà été défaite.",
    "bad-address": "Cette adresse ou ce numéro ne convient pas : corrigez-le, ou laissez-le vide.",
    "bad-rule": "Une partie de la règle ne convient pas : {english}",
    "cannot-answer": "Ce membre ne peut pas répondre de celui-là : nommez un autre adulte.",
    "cannot-merge": "Ces membres ne peuvent pas être fusionnés ou séparés ainsi : {english}",
    "cross-site": "Une session ne vaut que sur nos propres pages : ailleurs, utilisez une clé d’API.",
    "cursor-invalid": "Ce curseur n’est pas des nôtres : prenez-le sur une arête ou dans pageInfo.",
    "dkim-key-unusable": "Une clé DKIM est une clé privée PEM sans mot de passe : RSA (1024 bits ou plus) ou Ed25519.",
    "email-invalid": "Ce n’est pas une adresse e-mail telle que ada@example.org.",
    "email-taken": "Un opérateur a déjà cette adresse : prenez-en une autre.",
    "encoding-wrong": "L’encodage indiqué n’est pas celui du fichier : laissez-le deviner.",
    "erased-before": "L’adresse est celle d’une personne effacée : elle seule peut revenir, en s’inscrivant.",
    "event-invalid": "L’événement ne convient pas : {english}",
    "file-empty": "Le fichier est vide : exportez la liste à nouveau et envoyez ce fichier.",
    "file-invalid": "L’envoi ne convient pas : {english}",
    "file-not-text": "Ce n’est pas un fichier texte : exportez la liste en CSV.",
    "file-too-large": "Le fichier est trop grand : divisez-le.",
    "file-unreadable": "Le fichier ne peut pas être lu : {english}",
    "file-used": "L’import {used_by} a utilisé ce fichier : regardez celui-là, ou envoyez le fichier à nouveau.",
    "frozen-at-launch": "Le lancement a figé cela : ne changez que les messages, ou créez une nouvelle campagne.",
    "header-missing": "Le fichier n’a pas de ligne d’en-têtes : ajoutez-en une.",
    "header-unsafe": "Une adresse ou un nom d’expéditeur ne contient ni saut de ligne, ni chevrons : corrigez-le.",
    "import-state": "L’état de l’import ne le permet pas : {english}",
    "impossible-date": "Cette date est impossible : {english}",
    "invitation-invalid": "Cette invitation a déjà servi ou est trop ancienne : demandez-en une nouvelle.",
    "key-invalid": "Cette clé d’API est inconnue ou a été révoquée.",
    "last-owner": "Une agence garde au moins un propriétaire : nommez-en un autre d’abord.",
    "malformed-request": "La requête n’est pas comprise : {english}",
    "mapping-wrong": "Une partie de la correspondance ne convient pas : {english}",
    "member-gone": "Le membre a été fusionné ou effacé : travaillez avec celui qui continue.",
    "member-unknown": "Il n’y a pas de tel membre dans cette communauté.",
    "no-such-operation": "Le document a plusieurs opérations, ou aucune de ce nom : nommez l’une d’elles.",
    "nobody-named": "Rien ne dit de qui il s’agit : donnez un nom, une adresse ou un identifiant externe.",
    "not-allowed": "Il y faut le droit {grant} : demandez à un propriétaire de l’agence un rôle qui l’a.",
    "not-an-amount": "Un montant est un nombre décimal tel que 12.50.",
    "not-in-catalogue": "La communauté ne connaît pas ce mot : choisissez-en un de son catalogue, ou déclarez-le.",
    "not-launched": "La campagne n’est pas encore lancée : lancez-la d’abord.",
    "not-paused": "La campagne n’est pas en pause.",
    "not-scheduled": "La campagne n’est pas programmée.",
    "operators-only": "Seul un opérateur connecté peut le faire, pas une clé d’API.",
    "page-size-invalid": "Une page contient de 1 à {most} éléments.",
    "partition-lost": "Un autre lecteur a pris la suite.",
    "password-needed": "Un mot de passe n’est donné qu’au serveur pour lequel il a été saisi : ressaisissez-le.",
    "password-too-weak": "Un mot de passe a de 10 à 256 caractères.",
    "pause-first": "La campagne est en cours : mettez-la en pause d’abord.",
    "persisted-query-not-found": "Cette requête n’est pas (ou plus) connue par son empreinte : envoyez-la avec.",
    "proof-unsent": "Le lien n’a pas pu être envoyé par ce compte : {english}",
    "query-too-large": "Cette requête demande trop ; demandez des pages plus petites, ou moins à la fois.",
    "quote-unclosed": "Un guillemet ouvert n’est jamais fermé : fermez-le, ou doublez les guillemets dans une cellule.",
    "request-id-reused": "Ce requestId a servi à une autre demande : prenez-en un nouveau.",
    "request-too-large": "La requête est trop grande : envoyez-en plusieurs.",
    "request-under-way": "Cette demande est en cours : redemandez dans un instant.",
    "run-cancelled": "L’exécution a été annulée : relancez la campagne.",
    "run-unknown": "Il n’y a pas de telle exécution.",
    "schedule-in-the-past": "Choisissez un instant à venir, ou lancez la campagne maintenant.",
    "secret-unreadable": "Un secret de ce compte est indéchiffrable : restaurez les clés, ou ressaisissez-le.",
    "sender-unproven": "L’adresse d’expéditeur a changé depuis : demandez un nouveau lien.",
    "session-over": "La session est terminée : reconnectez-vous.",
    "sign-in-busy": "Trop de personnes se connectent : réessayez dans un instant.",
    "sign-in-first": "Connectez-vous d’abord, ou envoyez une clé d’API.",
    "text-too-long": "Ce texte est trop long : raccourcissez-le à {limit} caractères au plus.",
    "token-invalid": "Ce lien est incomplet ou n’est pas des nôtres : rouvrez-le depuis le message.",
    "too-many-attempts": "Trop de tentatives de connexion : attendez un quart d’heure, puis réessayez.",
    "undo-later-first": "Un autre membre y a été fusionné depuis : défaites d’abord la fusion {later}.",
    "unknown-community": "Il n’y a pas de telle communauté.",
    "unknown-file": "Il n’y a pas de tel fichier : envoyez-le à nouveau.",
    "unknown-import": "Il n’y a pas de tel import.",
    "unknown-mapping": "Aucune correspondance n’est enregistrée sous ce nom.",
    "unknown-member": "Il n’y a pas de tel membre.",
    "unknown-merge": "Il n’y a pas de telle fusion.",
    "unknown-pack": "Commencez avec l’un des packs de départ, ou sans.",
    "unknown-role": "Un rôle est owner, manager, approver ou analyst.",
    "unknown-scope": "Nommez au moins un droit, parmi ceux que la documentation liste.",
    "unknown-segment": "Il n’y a pas de tel segment.",
    "version-conflict": "Quelqu’un d’autre vient de le modifier : relisez-le, puis réessayez.",
    "wrong-credentials": "L’adresse e-mail ou le mot de passe est faux.",
    "wrong-password": "Le mot de passe actuel est un autre.",
}


class _Params(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


def said(error: FanfareError, locale: str) -> str:
    """The message of an expected error in the language asked for: the room's own, where it speaks both."""
    if not locale.startswith("fr"):
        return error.message
    if french := error.params.get("message_fr"):
        return french
    text = FRENCH.get(error.reason) or FRENCH_BY_KIND[error.kind]
    return text.format_map(_Params(error.params, english=error.message))


def language_of(accepted: str, stated: str = "") -> str:
    """``fr`` or ``en``: the first of ours in an Accept-Language header (RFC 9110 §12.5.4); where it has none, the
    language that the person stated, English otherwise."""
    best, weight = ("fr" if stated.lower().partition("-")[0] == "fr" else "en"), 0.0
    for part in accepted.split(","):
        tag, _, parameters = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        quality = _quality(parameters)
        if language in LANGUAGES and quality > weight:
            best, weight = language, quality
    return best


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
