"""Everything that the demo asks of the graph."""

from __future__ import annotations

COMMUNITIES = "{ communities(first: 200) { nodes { id name } } }"

CREATE_COMMUNITY = """
mutation ($input: CreateCommunityInput!) {
  createCommunity(input: $input) { community { id name } errors { field code message } }
}"""

ACCOUNTS = """
query ($community: ID!) { community(id: $community) { accounts(first: 200) {
  nodes { id host port senderAddress senderVerified } } } }"""

ADD_ACCOUNT = """
mutation ($input: AddAccountInput!) { addAccount(input: $input) { account { id } errors { field code message } } }"""

PROVE_SENDER = """
mutation ($account: ID!) {
  requestSenderProof(input: {account: $account}) { sentAt errors { field code message } }
}"""

CREATE_KEY = """
mutation ($name: String!, $communities: [ID!]) {
  createApiKey(input: {name: $name, scopes: [EVENTS_WRITE], communities: $communities}) {
    secret errors { field code message } }
}"""

_MAPPING = """
columns { heading target key name words { word meaning } separators dateOrder decimal }
permissions { purposes channel heading words { word meaning } atHeading dateOrder detailHeading wording refuses effect }
identity households tool relation tags source presence
"""

GUESS_MAPPING = f"""
query ($community: ID!, $file: ID!) {{
  guessMapping(community: $community, file: $file) {{ mapping {{ {_MAPPING} }} }}
}}"""

START_IMPORT = """
mutation ($input: StartImportInput!) {
  startImport(input: $input) { import { id } errors { field code message } }
}"""

IMPORT = """
query ($import: ID!) { import(id: $import) {
  state problem progress { rowsTotal rowsDone created changed left refused merged guardians fieldsRefused } } }"""

OBJECTIVES = """
query ($community: ID!) { community(id: $community) { objectives(first: 200) { nodes { id name } } } }"""

CREATE_OBJECTIVE = """
mutation ($input: CreateObjectiveInput!) {
  createObjective(input: $input) { objective { id } errors { field code message } }
}"""

CREATE_CAMPAIGN = """
mutation ($input: CreateCampaignInput!) {
  createCampaign(input: $input) { campaign { id } errors { field code message } }
}"""

CHECK = """
query ($campaign: ID!) { campaign(id: $campaign) { check { audience problems { field reason message } } } }"""

LAUNCH = """
mutation ($campaign: ID!) {
  launchCampaign(input: {campaign: $campaign}) { campaign { id state } errors { field code message } }
}"""

PICTURE = """query Picture($campaign: ID!) {
  campaign(id: $campaign) {
    name
    state
    community { name }
    figures {
      planned skipped skippedByReason { reason count message } addresses
      accepted refused unknown waiting inFlight
      opened machineOpened clicked machineClicked unsubscribed converted
      revenue { amount currency }
    }
    objective {
      name metric baseline target startsAt deadline
      progress { value share timeShare pace forecastKnown forecast assumption }
    }
  }
}"""
