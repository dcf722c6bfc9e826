"""Why a row or a field was not taken over, or what its reader should know, in French and English.

A finding never holds what the cell said: row and field lead there, and nothing personal is kept twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as made_by
from types import MappingProxyType
from typing import Literal

Language = Literal["fr", "en"]
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found in a row: a refusal of the row (``field`` empty) or of a field, or a note."""

    field: str  # the heading of the column; "" for the row as a whole
    code: str
    params: Mapping[str, str] = made_by(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means, and what can be done about it."""

    refuses: bool  # False: a note, nothing was refused
    message: Mapping[Language, str]
    remedy: Mapping[Language, str]


def explain(code: str, language: str, params: Mapping[str, str] = NOTHING) -> tuple[str, str]:
    """Message and remedy of a code; ``language`` is a BCP 47 tag, French where it begins with fr, else English."""
    which: Language = "fr" if language.lower().startswith("fr") else "en"
    explanation = EXPLANATIONS[code]
    return _filled(explanation.message[which], params), _filled(explanation.remedy[which], params)


def _filled(text: str, params: Mapping[str, str]) -> str:
    for name, value in params.items():
        text = text.replace("{" + name + "}", value)
    return text


def refuses(code: str) -> bool:
    return EXPLANATIONS[code].refuses


def _refusal(en: str, en_remedy: str, fr: str, fr_remedy: str) -> Explanation:
    return Explanation(True, {"en": en, "fr": fr}, {"en": en_remedy, "fr": fr_remedy})


def _note(en: str, en_remedy: str, fr: str, fr_remedy: str) -> Explanation:
    return Explanation(False, {"en": en, "fr": fr}, {"en": en_remedy, "fr": fr_remedy})


EXPLANATIONS: Mapping[str, Explanation] = MappingProxyType(
    {
        # rows
        "row-empty": _refusal("The row is empty.", "Nothing to do.", "La ligne est vide.", "Rien à faire."),
        "row-total": _refusal(
            "The row is a total, not a person.",
            "Nothing to do; delete it from the file if you like.",
            "La ligne est un total, pas une personne.",
            "Rien à faire ; supprimez-la du fichier si vous voulez.",
        ),
        "cells-missing": _refusal(
            "The row has {found} cells, the headings {expected}.",
            "Complete the row; a cell that holds the separator or a line break must stand in quotes.",
            "La ligne a {found} cellules, l'en-tête {expected}.",
            "Complétez la ligne ; mettez entre guillemets ce qui contient le séparateur ou un retour à la ligne.",
        ),
        "cells-extra": _refusal(
            "The row has {found} cells, the headings {expected}.",
            "Remove the extra cells; a cell that holds the separator must stand in quotes.",
            "La ligne a {found} cellules, l'en-tête {expected}.",
            "Retirez les cellules en trop ; une cellule qui contient le séparateur se met entre guillemets.",
        ),
        "nobody-named": _refusal(
            "Nothing usable is left that says who this is: no name, no valid address, no external id.",
            "Give a name or a valid address.",
            "Plus rien d'utilisable ne dit de qui il s'agit : ni nom, ni adresse valable, ni identifiant externe.",
            "Donnez un nom ou une adresse valable.",
        ),
        "identity-missing": _refusal(
            "The column that identifies members is empty in this row.",
            "Fill in the external id, or identify members by e-mail.",
            "La colonne qui identifie les membres est vide dans cette ligne.",
            "Remplissez l'identifiant externe, ou identifiez les membres par leur courriel.",
        ),
        "address-shared": _refusal(
            "Another person already holds this address.",
            "Identify by e-mail and name, and allow households, to let several members share an address.",
            "Une autre personne a déjà cette adresse.",
            "Identifiez par courriel et nom, et acceptez les foyers, pour que plusieurs membres partagent une adresse.",
        ),
        "several-match": _refusal(
            "Several members match this row.",
            "Merge them first, or identify by external id.",
            "Plusieurs membres correspondent à cette ligne.",
            "Fusionnez-les d'abord, ou identifiez par identifiant externe.",
        ),
        "erased": _refusal(
            "Somebody at this address asked to be forgotten; an import does not bring them back.",
            "Only the person can return, through a sign-up of their own.",
            "Une personne à cette adresse a demandé l'oubli ; un import ne la fait pas revenir.",
            "Elle seule peut revenir, en s'inscrivant elle-même.",
        ),
        "address-busy": _refusal(
            "Somebody is being registered at this address at this very moment.",
            "Import the row again.",
            "Quelqu'un est en cours d'inscription à cette adresse, à l'instant.",
            "Importez la ligne à nouveau.",
        ),
        "member-restricted": _refusal(
            "The processing of this member is restricted.",
            "Lift the restriction first, with the member's agreement.",
            "Le traitement de ce membre est limité.",
            "Levez d'abord la limitation, avec l'accord du membre.",
        ),
        # fields
        "address-invalid": _refusal(
            "This is no valid e-mail address.",
            "Correct it to one address such as name@example.org; the rest of the row was taken over.",
            "Ce n'est pas une adresse électronique valable.",
            "Corrigez-la en une adresse comme nom@example.org ; le reste de la ligne a été repris.",
        ),
        "addresses-several": _refusal(
            "The cell holds several addresses.",
            "Keep one per cell: nobody can tell which is this person's.",
            "La cellule contient plusieurs adresses.",
            "Gardez-en une par cellule : rien ne dit laquelle est celle de cette personne.",
        ),
        "phone-invalid": _refusal(
            "This is no valid phone number.",
            "Write it with its country code, such as +32 470 12 34 56.",
            "Ce n'est pas un numéro de téléphone valable.",
            "Écrivez-le avec l'indicatif du pays, comme +32 470 12 34 56.",
        ),
        "date-unreadable": _refusal(
            "This is no date.",
            "Write it as DD/MM/YYYY or YYYY-MM-DD, or choose another order for the column.",
            "Ce n'est pas une date.",
            "Écrivez-la JJ/MM/AAAA ou AAAA-MM-JJ, ou choisissez un autre ordre pour la colonne.",
        ),
        "date-impossible": _refusal(
            "This day does not exist.", "Correct the date.", "Ce jour n'existe pas.", "Corrigez la date."
        ),
        "date-future": _refusal(
            "This date lies in the future.", "Correct the date.", "Cette date est dans le futur.", "Corrigez la date."
        ),
        "date-too-old": _refusal(
            "Nobody alive was born then.",
            "Correct the year.",
            "Aucune personne vivante n'est née alors.",
            "Corrigez l'année.",
        ),
        "act-too-old": _refusal(
            "This date lies before 1990: nobody agreed to anything here then.",
            "Correct the year.",
            "Cette date est antérieure à 1990 : personne n'a pu donner cet accord alors.",
            "Corrigez l'année.",
        ),
        "number-unreadable": _refusal(
            "This is no number.",
            "Write digits with a decimal comma or point, such as 185,50.",
            "Ce n'est pas un nombre.",
            "Écrivez des chiffres avec une virgule ou un point décimal, comme 185,50.",
        ),
        "boolean-unreadable": _refusal(
            "This is neither yes nor no.", "Write yes or no.", "Ce n'est ni oui ni non.", "Écrivez oui ou non."
        ),
        "language-unknown": _refusal(
            "This language is not known.",
            "Write its name or a code such as fr, nl or fr-BE.",
            "Cette langue n'est pas connue.",
            "Écrivez son nom ou un code comme fr, nl ou fr-BE.",
        ),
        "zone-unknown": _refusal(
            "This time zone is not known.",
            "Write an IANA name such as Europe/Brussels.",
            "Ce fuseau horaire n'est pas connu.",
            "Écrivez un nom IANA comme Europe/Brussels.",
        ),
        "word-unknown": _refusal(
            "The mapping says nothing about this word.",
            "Add the word to the column's map, or correct it.",
            "La correspondance ne dit rien de ce mot.",
            "Ajoutez le mot à la correspondance de la colonne, ou corrigez-le.",
        ),
        "choice-unknown": _refusal(
            "The attribute knows no such choice.",
            "Use one of its choices, or map the word to one.",
            "L'attribut ne connaît pas ce choix.",
            "Utilisez l'un de ses choix, ou faites-y correspondre ce mot.",
        ),
        "value-unfit": _refusal(
            "The value does not fit the attribute.",
            "Correct it.",
            "La valeur ne convient pas à l'attribut.",
            "Corrigez-la.",
        ),
        "dates-reversed": _refusal(
            "The relation ends before it begins.",
            "Correct one of the two dates.",
            "La relation finit avant de commencer.",
            "Corrigez l'une des deux dates.",
        ),
        "text-too-long": _refusal(
            "The text is longer than {limit} characters.",
            "Shorten it.",
            "Le texte dépasse {limit} caractères.",
            "Raccourcissez-le.",
        ),
        "json-unreadable": _refusal(
            "The cell is no JSON object.",
            "Export the list again.",
            "La cellule n'est pas un objet JSON.",
            "Exportez la liste à nouveau.",
        ),
        "address-of-another": _refusal(
            "Another member outside this household already holds this number or address.",
            "Let it be shared through a household, or correct it.",
            "Un autre membre, hors de ce foyer, a déjà ce numéro ou cette adresse.",
            "Partagez-le par un foyer, ou corrigez-le.",
        ),
        # notes
        "same-person": _note(
            "The same person as row {row}: the two rows make one member.",
            "Nothing to do; where they differ, the later row counts.",
            "La même personne qu'à la ligne {row} : les deux lignes font un seul membre.",
            "Rien à faire ; là où elles diffèrent, la dernière compte.",
        ),
        "guardian-made": _note(
            "A minor, and no adult of the file holds this address: a guardian without a name holds it.",
            "Give the guardian a name when you know it.",
            "Une personne mineure, et aucun adulte du fichier n'a cette adresse : un responsable sans nom la détient.",
            "Donnez un nom au responsable quand vous le connaîtrez.",
        ),
        "guardian-found": _note(
            "A minor: the adult who holds this address (row {row}) is the guardian.",
            "Nothing to do.",
            "Une personne mineure : l'adulte qui a cette adresse (ligne {row}) en est responsable.",
            "Rien à faire.",
        ),
        "consent-undated": _note(
            "A yes without a date proves nothing: no permission was recorded.",
            "Give the date on which the person agreed, or ask again.",
            "Un oui sans date ne prouve rien : aucune permission n'a été notée.",
            "Donnez la date de l'accord, ou redemandez-le.",
        ),
        "consent-unclear": _note(
            "This word is neither a yes nor a no: nothing was recorded.",
            "Ask the person.",
            "Ce mot n'est ni un oui ni un non : rien n'a été noté.",
            "Demandez à la personne.",
        ),
        "objection-stands": _note(
            "The member objected, and this row brings no later, proven act of theirs: the objection stands.",
            "Only an act of the person can lift it.",
            "Le membre s'est opposé, et cette ligne n'apporte aucun acte ultérieur et prouvé : l'opposition demeure.",
            "Seul un acte de la personne peut la lever.",
        ),
        "minor-stays": _refusal(
            "The member is known as a minor, and this row would make them an adult: the younger age stays.",
            "Correct the date of birth in the member, where it is wrong.",
            "Le membre est connu comme mineur, et cette ligne en ferait un adulte : l'âge le plus jeune reste.",
            "Corrigez la date de naissance dans la fiche du membre, si elle est fausse.",
        ),
        "permission-stronger": _note(
            "A permission with better proof is already recorded: it stays.",
            "Nothing to do.",
            "Une permission mieux prouvée est déjà notée : elle reste.",
            "Rien à faire.",
        ),
    }
)
