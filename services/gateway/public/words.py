"""What the public pages say, in English and in French."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ENGLISH = {
    "lang": "en",
    # not found, away
    "gone_title": "This link leads nowhere",
    "gone_text": "It is incomplete, or the page behind it is no longer there. Open it again from the message, "
    "or write to whoever sent it to you.",
    "away_title": "One moment, please",
    "away_text": "We cannot answer just now. Please try again in a minute: nothing you asked for is lost.",
    "again": "Try again",
    "test_title": "This is a test message",
    "test_text": "In the message itself, this link opens the page of whoever receives it. Here nothing changes.",
    # unsubscribe
    "unsubscribe_title": "Unsubscribe from {community}",
    "unsubscribe_text": "Choose what should stop. Nothing happens until you press the button.",
    "what": "What should stop",
    "only_this": "{purpose} from {community}",
    "all_promotional": "Everything that is not strictly necessary: news, offers, appeals, requests for reviews",
    "service_note": "Messages that are necessary for what you take part in, such as a cancelled course, still come.",
    "for_whom": "For whom",
    "for_whom_text": "Several people receive their messages at this address.",
    "stop_button": "Stop writing",
    "unsubscribed_title": "Done",
    "unsubscribed_text": "We have taken note, and it takes effect at once. What was on its way may still arrive.",
    "stopped": "No longer sent",
    "to_preferences": "Choose by topic instead",
    "choose_one": "Choose at least one person.",
    # preferences
    "preferences_title": "What {community} may send you",
    "preferences_text": "Tick what you would like to receive. Nothing changes until you press the button.",
    "topics": "Topics",
    "pause": "Pause",
    "pause_text": "No news, offers or appeals until then; afterwards as chosen above.",
    "no_pause": "No pause",
    "pause_30": "For a month",
    "pause_90": "For three months",
    "paused_until": "Paused until {date}",
    "save_button": "Save",
    "saved_title": "Saved",
    "saved_text": "Your choices are kept, and take effect at once.",
    "back": "Back to your choices",
    "why_title": "Why do you write to me?",
    "why_presence": "You have been in this community since {date}.",
    "why_relation": "You are tied to it as: {relations}.",
    "why_reasons": "For: {reasons}.",
    "why_basis": "On what grounds, topic by topic:",
    "erased_title": "Nothing is kept",
    "erased_text": "We hold no data about the person this message was sent to, and write to nobody there any more.",
    "choice_wording": "“{topic}” switched {how} on the preferences page of {community}",
    "on": "on",
    "off": "off",
    # sender
    "sender_title": "Is this your address?",
    "sender_text": "Somebody wants to send messages from this address. Press the button only if it is yours "
    "and you expect this.",
    "sender_button": "Yes, it is mine",
    "sender_done_title": "Confirmed",
    "sender_done_text": "Messages may now be sent from this address. You can close this page.",
    # invitation
    "invitation_title": "Welcome to {agency}",
    "invitation_text": "You were invited as {email}. Choose a password of at least ten characters.",
    "password": "Password",
    "password_again": "The same again",
    "invitation_button": "Begin",
    "passwords_differ": "The two are not the same.",
    "invitation_done_title": "Ready",
    "invitation_done_text": "You can sign in now.",
    "to_sign_in": "Sign in",
}

FRENCH = {
    "lang": "fr",
    "gone_title": "Ce lien ne mène nulle part",
    "gone_text": "Il est incomplet, ou la page n’existe plus. Rouvrez-le depuis le message, ou écrivez à qui vous "
    "l’a envoyé.",
    "away_title": "Un instant, s’il vous plaît",
    "away_text": "Nous ne pouvons pas répondre tout de suite. Réessayez dans une minute : rien de ce que vous avez "
    "demandé n’est perdu.",
    "again": "Réessayer",
    "test_title": "Ceci est un message d’essai",
    "test_text": "Dans le message lui-même, ce lien ouvre la page de qui le reçoit. Ici, rien ne change.",
    "unsubscribe_title": "Se désabonner de {community}",
    "unsubscribe_text": "Choisissez ce qui doit cesser. Rien ne change avant que vous n’appuyiez sur le bouton.",
    "what": "Ce qui doit cesser",
    "only_this": "{purpose} de {community}",
    "all_promotional": "Tout ce qui n’est pas strictement nécessaire : nouvelles, offres, appels aux dons, "
    "demandes d’avis",
    "service_note": "Les messages nécessaires à ce à quoi vous participez, comme l’annulation d’un cours, arrivent "
    "toujours.",
    "for_whom": "Pour qui",
    "for_whom_text": "Plusieurs personnes reçoivent leurs messages à cette adresse.",
    "stop_button": "Ne plus écrire",
    "unsubscribed_title": "C’est fait",
    "unsubscribed_text": "C’est noté, avec effet immédiat. Ce qui était déjà en route peut encore arriver.",
    "stopped": "N’est plus envoyé",
    "to_preferences": "Choisir plutôt par sujet",
    "choose_one": "Choisissez au moins une personne.",
    "preferences_title": "Ce que {community} peut vous envoyer",
    "preferences_text": "Cochez ce que vous aimeriez recevoir. Rien ne change avant que vous n’appuyiez sur le bouton.",
    "topics": "Sujets",
    "pause": "Pause",
    "pause_text": "Ni nouvelles, ni offres, ni appels jusque-là ; ensuite, comme choisi ci-dessus.",
    "no_pause": "Pas de pause",
    "pause_30": "Pour un mois",
    "pause_90": "Pour trois mois",
    "paused_until": "En pause jusqu’au {date}",
    "save_button": "Enregistrer",
    "saved_title": "Enregistré",
    "saved_text": "Vos choix sont notés, avec effet immédiat.",
    "back": "Revenir à vos choix",
    "why_title": "Pourquoi m’écrivez-vous ?",
    "why_presence": "Vous êtes dans cette communauté depuis le {date}.",
    "why_relation": "Ce qui vous y lie : {relations}.",
    "why_reasons": "Pour : {reasons}.",
    "why_basis": "Sur quelle base, sujet par sujet :",
    "erased_title": "Rien n’est conservé",
    "erased_text": "Nous n’avons aucune donnée sur la personne à qui ce message a été envoyé, et n’y écrivons plus.",
    "choice_wording": "« {topic} » {how} sur la page des préférences de {community}",
    "on": "accepté",
    "off": "refusé",
    "sender_title": "Est-ce votre adresse ?",
    "sender_text": "Quelqu’un souhaite envoyer des messages depuis cette adresse. N’appuyez sur le bouton que si "
    "elle est à vous et que vous vous y attendez.",
    "sender_button": "Oui, c’est la mienne",
    "sender_done_title": "Confirmé",
    "sender_done_text": "Des messages peuvent désormais partir de cette adresse. Vous pouvez fermer cette page.",
    "invitation_title": "Bienvenue chez {agency}",
    "invitation_text": "Vous êtes invité en tant que {email}. Choisissez un mot de passe d’au moins dix caractères.",
    "password": "Mot de passe",
    "password_again": "Encore une fois",
    "invitation_button": "Commencer",
    "passwords_differ": "Les deux ne sont pas identiques.",
    "invitation_done_title": "C’est prêt",
    "invitation_done_text": "Vous pouvez vous connecter.",
    "to_sign_in": "Se connecter",
}

PURPOSES = {
    "service": {"en": "Service messages", "fr": "Messages de service"},
    "statutory": {"en": "Statutory messages", "fr": "Messages statutaires"},
    "news": {"en": "News", "fr": "Nouvelles"},
    "promotion": {"en": "Offers", "fr": "Offres"},
    "fundraising": {"en": "Appeals for donations", "fr": "Appels aux dons"},
    "review_request": {"en": "Requests for reviews", "fr": "Demandes d’avis"},
    "tracking": {"en": "Measuring whether messages are read", "fr": "Mesure de la lecture des messages"},
}

BASES = {
    "consent": {"en": "you agreed", "fr": "vous avez accepté"},
    "existing_customer": {"en": "you are a customer", "fr": "vous êtes client"},
    "professional_address": {"en": "it is a professional address", "fr": "c’est une adresse professionnelle"},
    "membership": {"en": "you are a member", "fr": "vous êtes adhérent"},
    "contract": {"en": "a contract requires it", "fr": "un contrat l’exige"},
    "legal_duty": {"en": "the law requires it", "fr": "la loi l’exige"},
    "objection": {"en": "you declined", "fr": "vous avez refusé"},
    "": {"en": "nothing allows it: we do not write", "fr": "rien ne le permet : nous n’écrivons pas"},
}

TEXTS: Mapping[str, Mapping[str, str]] = MappingProxyType({"en": ENGLISH, "fr": FRENCH})


def purpose_name(purpose: str, locale: str) -> str:
    return PURPOSES.get(purpose, {}).get(locale, purpose)


def basis_name(basis: str, locale: str) -> str:
    return BASES.get(basis, BASES[""])[locale]
