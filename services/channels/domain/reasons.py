"""Why a member did not get it (or not yet): the reasons the ledger keeps, in the words people read."""

from __future__ import annotations

EXPIRED = "expired"
CANCELLED = "cancelled"
MERGED = "merged"
ERASED = "erased"
RESTRICTED = "restricted"
MISSING = "missing"
JOINED_AFTER_LAUNCH = "joined-after-launch"
NO_CONTACT_POINT = "no-contact-point"
BOUNCED_CONTACT = "bounced-contact"
NO_PERMISSION = "no-permission"
SUPPRESSED = "suppressed"
CAP = "cap"
CAP_TURN = "cap-turn"
QUIET_HOURS = "quiet-hours"
HELD = "held"
PAUSED = "paused"
ACCOUNT = "account"
RETRY = "retry"
DEFERRING = frozenset((QUIET_HOURS, CAP_TURN))  # of verdicts that let a member wait

_WORDS: dict[str, tuple[str, str]] = {
    "": ("", ""),
    "planned": ("It is planned and waits for its turn.", "L'envoi est prévu et attend son tour."),
    "accepted": ("The receiving server accepted it.", "Le serveur du destinataire l'a accepté."),
    "handed_off": ("It is being handed to the server.", "L'envoi est en cours de remise au serveur."),
    "unknown": (
        "It may have been sent: the server's answer was never read. The campaign's policy decides what follows.",
        "L'envoi a peut-être eu lieu : la réponse du serveur n'a jamais été lue. La règle de la campagne décide.",
    ),
    "absent": ("The member was not in the audience.", "Le membre ne faisait pas partie de l'audience."),
    EXPIRED: ("The campaign's time was over.", "La période d'envoi de la campagne était terminée."),
    CANCELLED: ("The campaign was cancelled before its turn.", "La campagne a été annulée avant son tour."),
    MERGED: ("The record was merged into another.", "La fiche a été fusionnée avec une autre."),
    ERASED: ("The member was erased.", "Le membre a été effacé."),
    RESTRICTED: (
        "The member asked us to stop using their data.",
        "Le membre a demandé de ne plus utiliser ses données.",
    ),
    MISSING: ("The member is not known any more.", "Le membre n'est plus connu."),
    JOINED_AFTER_LAUNCH: ("The member joined after the launch.", "Le membre est arrivé après le lancement."),
    NO_CONTACT_POINT: ("There is no address on this channel.", "Il n'y a pas d'adresse pour ce canal."),
    BOUNCED_CONTACT: ("The address returned earlier messages.", "L'adresse a renvoyé des messages précédents."),
    NO_PERMISSION: ("There is no permission for this purpose.", "Il n'y a pas de permission pour cette finalité."),
    "objection": ("The member objected to this purpose.", "Le membre s'est opposé à cette finalité."),
    "no-basis": ("There is no basis to write for this purpose.", "Aucune base ne permet d'écrire pour cette finalité."),
    "evidence-too-weak": (
        "The proof of the permission is too weak for this purpose.",
        "La preuve de la permission est trop faible pour cette finalité.",
    ),
    "guardian-must-consent": ("A guardian must consent first.", "Un responsable légal doit d'abord consentir."),
    SUPPRESSED: (
        "The address is not written to for this purpose: it bounced, complained, or unsubscribed.",
        "On n'écrit pas à cette adresse pour cette finalité : rejet, plainte ou désinscription.",
    ),
    CAP: (
        "The member already got as many messages as the cap allows.",
        "Le membre a déjà reçu le maximum de messages.",
    ),
    CAP_TURN: (
        "Another campaign is writing to the member at this moment; the cap is asked again shortly.",
        "Une autre campagne écrit au membre en ce moment ; le plafond est vérifié à nouveau sous peu.",
    ),
    QUIET_HOURS: (
        "It is night for the member; the message waits until the quiet hours end.",
        "C'est la nuit pour le membre ; l'envoi attend la fin des heures calmes.",
    ),
    HELD: ("All outgoing work is stopped for now.", "Tous les envois sont arrêtés pour le moment."),
    PAUSED: ("The campaign is paused.", "La campagne est en pause."),
    ACCOUNT: ("The channel account cannot send for now.", "Le compte de canal ne peut pas envoyer pour le moment."),
    RETRY: (
        "The server refused it for the moment; it is tried again.",
        "Le serveur l'a refusé pour le moment ; un nouvel essai est prévu.",
    ),
    "bad-address": ("The server says that the address does not exist.", "Le serveur dit que l'adresse n'existe pas."),
    "mailbox-full": ("The mailbox is full.", "La boîte de réception est pleine."),
    "policy": ("The server refused it by its policy.", "Le serveur l'a refusé selon ses règles."),
    "size": ("The message is too large for the server.", "Le message est trop volumineux pour le serveur."),
    "temporary": (
        "The server kept refusing it for the moment, until our tries were used up.",
        "Le serveur l'a refusé pour le moment à chaque essai, jusqu'au dernier.",
    ),
    "connection": ("The connection ended before an answer was read.", "La connexion s'est coupée avant la réponse."),
    "other": ("The server refused it.", "Le serveur l'a refusé."),
    "crash": (
        "The sender stopped between handing it off and reading the answer.",
        "L'envoi s'est interrompu entre la remise et la lecture de la réponse.",
    ),
}


def message_for(reason: str, locale: str) -> str:
    """The reason in French or English; a reason that members gave and we have no words for stays as it is."""
    english, french = _WORDS.get(reason, (reason.replace("-", " "),) * 2)
    return french if locale.lower().startswith("fr") else english
