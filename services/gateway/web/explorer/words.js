// What the explorer says, in English and in French.
export const WORDS = {
  en: {
    explorer: "explorer", skip: "Skip to the query", language: "Language", signOut: "Sign out",
    signInTitle: "Sign in", signInText: "With your operator's account. The first one's credentials are in first-operator.json.",
    email: "E-mail address", password: "Password", signIn: "Sign in", signingIn: "Signing in…",
    query: "Query", variables: "Variables (JSON)", complete: "Ctrl Space: what fits here", examples: "Examples",
    tidy: "Tidy", run: "Run", running: "Running…", answer: "Answer", copy: "Copy", copied: "Copied",
    docs: "Documentation", back: "Back", search: "Search types and fields", offers: "What fits here",
    nothing: "Run a query to see its answer here.", measure: "{ms} ms · {kb} kB", failed: "No answer: is the gateway running?",
    badVariables: "The variables are not JSON: {why}", start: "What can be read and done", reads: "What can be read",
    does: "What can be done", types: "Types", none: "Nothing of that name.", values: "One of", insert: "Into the query",
    arguments: "with", fieldsOf: "Fields", inputs: "Fields to give", implementedBy: "Is one of", sessionOver: "The session is over: sign in again.",
  },
  fr: {
    explorer: "explorateur", skip: "Aller à la requête", language: "Langue", signOut: "Se déconnecter",
    signInTitle: "Se connecter", signInText: "Avec votre compte d’opérateur. Les premiers identifiants sont dans first-operator.json.",
    email: "Adresse e-mail", password: "Mot de passe", signIn: "Se connecter", signingIn: "Connexion…",
    query: "Requête", variables: "Variables (JSON)", complete: "Ctrl Espace : ce qui convient ici", examples: "Exemples",
    tidy: "Ranger", run: "Exécuter", running: "En cours…", answer: "Réponse", copy: "Copier", copied: "Copié",
    docs: "Documentation", back: "Retour", search: "Chercher types et champs", offers: "Ce qui convient ici",
    nothing: "Exécutez une requête pour voir sa réponse ici.", measure: "{ms} ms · {kb} ko", failed: "Pas de réponse : la passerelle tourne-t-elle ?",
    badVariables: "Les variables ne sont pas du JSON : {why}", start: "Ce qui se lit et se fait", reads: "Ce qui se lit",
    does: "Ce qui se fait", types: "Types", none: "Rien de ce nom.", values: "L’un de", insert: "Dans la requête",
    arguments: "avec", fieldsOf: "Champs", inputs: "Champs à donner", implementedBy: "Est l’un de", sessionOver: "La session est terminée : reconnectez-vous.",
  },
};

export const EXAMPLES = [
  { en: "Who am I?", fr: "Qui suis-je ?", query: `{
  viewer {
    actor
    agency { name }
    grants { community { name } grants }
  }
}` },
  { en: "The communities", fr: "Les communautés", query: `{
  communities(first: 50) {
    nodes { id name masterName masterKind country }
  }
}` },
  { en: "A new community", fr: "Une nouvelle communauté", query: `mutation NewCommunity($input: CreateCommunityInput!) {
  createCommunity(input: $input) {
    community { id name }
    errors { field code message }
  }
}`, variables: { input: { name: "Judo", masterName: "Judo Club", masterKind: "ORGANISATION", pack: "sports_club", country: "BE", locale: "fr", zone: "Europe/Brussels" } } },
  { en: "Members, with permission and timeline", fr: "Membres, permissions et parcours", query: `query Members($community: ID!) {
  members(community: $community, first: 20) {
    nodes {
      id
      displayName
      standing
      lifecycle
      contactPoints { channel address state }
      permits { purpose channel allowed basis evidence }
      latest(first: 3) { kind at campaign { name } }
    }
    pageInfo { hasNextPage endCursor }
  }
}`, variables: { community: "" } },
  { en: "What a rule reaches", fr: "Qui une règle atteint", query: `query Reach($community: ID!, $rule: Json) {
  previewSegment(community: $community, rule: $rule, sample: 5) {
    within
    out
    unmeasurable
    sample { id displayName }
  }
}`, variables: { community: "", rule: { field: "standing", is: "client" } } },
  { en: "How an import proceeds", fr: "Où en est un import", query: `query Progress($import: ID!) {
  import(id: $import) {
    state
    progress { rowsTotal rowsDone created changed left refused }
    rows(outcomes: ["refused"], first: 20) {
      nodes { row findings { field code message { en fr } remedy { en fr } } }
    }
  }
}`, variables: { import: "" } },
  { en: "What a campaign brought", fr: "Ce qu’une campagne a donné", query: `query Figures($campaign: ID!) {
  campaign(id: $campaign) {
    name
    state
    figures {
      planned skipped accepted refused unknown
      opened machineOpened clicked machineClicked unsubscribed converted
      skippedByReason { reason count message }
      revenue { amount currency }
    }
    objective { name progress { value share pace forecast assumption } }
  }
}`, variables: { campaign: "" } },
  { en: "Why did they not get it?", fr: "Pourquoi ne l’ont-ils pas reçu ?", query: `query Why($campaign: ID!, $member: ID!) {
  whyDidTheyNotGetIt(campaign: $campaign, member: $member) {
    state
    reason
    message
    at
    sharedWith { id displayName }
  }
}`, variables: { campaign: "", member: "" } },
  { en: "Stop everything in a community", fr: "Tout arrêter dans une communauté", query: `mutation StopEverything($input: HoldOutgoingInput) {
  holdOutgoing(input: $input) {
    heldAt
    errors { field code message }
  }
}`, variables: { input: { community: "cmt_…", cause: "" } } },
];
