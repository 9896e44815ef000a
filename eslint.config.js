import js from "@eslint/js";
import tseslint from "typescript-eslint";

const onlyInConfig = {
  selector: "MemberExpression[object.name='process'][property.name='env']",
  message: "Only src/config reads the environment.",
};
const onlyInCli = {
  selector: "CallExpression[callee.object.name='process'][callee.property.name='exit']",
  message: "Only src/cli ends the process.",
};

export default tseslint.config(
  { ignores: ["dist", "coverage"] },
  js.configs.recommended,
  {
    files: ["**/*.mjs", "**/*.js"],
    languageOptions: {
      globals: { process: "readonly", console: "readonly", URL: "readonly" },
    },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/dot-notation": "off",
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      "max-params": ["error", 4],
    },
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "max-lines-per-function": ["error", { max: 80, skipComments: true, skipBlankLines: true }],
      "no-restricted-syntax": ["error", onlyInConfig, onlyInCli],
    },
  },
  { files: ["src/config/**/*.ts"], rules: { "no-restricted-syntax": ["error", onlyInCli] } },
  { files: ["src/cli/**/*.ts"], rules: { "no-restricted-syntax": ["error", onlyInConfig] } },
);
