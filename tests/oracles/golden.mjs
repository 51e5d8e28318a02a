// What the oracles share: the golden files of a platform, and the report of what is wrong with them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const CONNECTORS = join(process.env.REPOGUARD_TESTS, "connectors");

// Returns [{ name, value }] of the golden JSON files of a connector.
export function golden(connector, folder = "golden") {
  const place = join(CONNECTORS, connector, folder);
  const names = readdirSync(place).filter((name) => name.endsWith(".json")).sort();
  if (names.length === 0) throw new Error(`${place} holds no golden file`);
  return names.map((name) => ({ name, value: JSON.parse(readFileSync(join(place, name), "utf8")) }));
}

// Says what was found, and ends with 1 where anything was. `check(value)` throws, or returns a list of sentences.
export function report(title, files, check) {
  let wrong = 0;
  for (const { name, value } of files) {
    let found;
    try {
      found = check(value) ?? [];
    } catch (error) {
      found = [error.message];
    }
    for (const sentence of found) console.error(`${title}: ${name}: ${sentence}`);
    wrong += found.length ? 1 : 0;
  }
  console.log(`${title}: ${files.length - wrong} of ${files.length} golden files are taken.`);
  if (wrong) process.exitCode = 1;
}
