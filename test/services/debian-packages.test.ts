import { expect, test } from "vitest";
import { parseSources } from "../../tools/services/debian-packages.ts";

test("reads sources of one line each, with and without options", () => {
  const text = `# deb http://old.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib
deb [arch=amd64 signed-by=/key.gpg] https://other.example/apt stable extra
deb-src http://mirror.example/debian bookworm main
`;
  expect(parseSources(text)).toEqual([
    { uri: "http://mirror.example/debian", suites: ["bookworm"], hasMain: true },
    { uri: "https://other.example/apt", suites: ["stable"], hasMain: false },
  ]);
});

test("reads stanzas and leaves out those that are switched off", () => {
  const text = `Types: deb deb-src
# a comment
URIs: http://mirror.example/debian http://second.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no
`;
  expect(parseSources(text)).toEqual([
    {
      uri: "http://mirror.example/debian",
      suites: ["bookworm", "bookworm-updates"],
      hasMain: true,
    },
  ]);
});
