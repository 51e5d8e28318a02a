// Discord's own builder refuses an embed that breaks a limit or a type.
import { isDeepStrictEqual } from "node:util";
import { EmbedBuilder } from "@discordjs/builders";
import { golden, report } from "./golden.mjs";

function check(message) {
  const found = [];
  for (const embed of message.embeds) {
    const built = new EmbedBuilder().setTitle(embed.title).setColor(embed.color).setFields(embed.fields).setFooter(embed.footer);
    if (embed.url) built.setURL(embed.url);
    if (embed.description) built.setDescription(embed.description);
    built.setTimestamp(new Date(embed.timestamp));
    if (!isDeepStrictEqual(JSON.parse(JSON.stringify(built.toJSON())), embed)) found.push("is not what the builder would send");
  }
  const total = message.embeds.flatMap((one) => [one.title, one.description, one.footer.text, ...one.fields.flatMap((f) => [f.name, f.value])]);
  if (total.join("").length > 6000) found.push(`has ${total.join("").length} characters together`);
  return found;
}

report("discord: @discordjs/builders", golden("discord"), check);
