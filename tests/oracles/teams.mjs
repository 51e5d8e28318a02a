// Microsoft's parser of Adaptive Cards, which Teams for the desktop is built on, has no complaint about a card.
import { createRequire } from "node:module";
import { golden, report } from "./golden.mjs";

const cards = createRequire(import.meta.url)("adaptivecards/dist/adaptivecards.js");

function check(message) {
  const [attachment] = message.attachments;
  const card = new cards.AdaptiveCard();
  const context = new cards.SerializationContext(cards.Versions.v1_5);
  card.parse(attachment.content, context);
  const events = Array.from({ length: context.eventCount }, (_, number) => context.getEventAt(number).message);
  const elements = card.getItemCount();
  const problems = card.validateProperties().validationEvents.map((one) => one.message);
  if (elements !== attachment.content.body.length) problems.push(`shows ${elements} of ${attachment.content.body.length} elements`);
  return [...events, ...problems];
}

report("teams: adaptivecards", golden("teams"), check);
