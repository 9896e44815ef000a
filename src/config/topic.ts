/** Names of topics, and the template that they are made from. */

const TOPIC_LENGTH_MAX = 249;

/** What is wrong with a topic name; undefined if nothing is. */
export function topicNameFault(name: string): string | undefined {
  if (!/^[A-Za-z0-9._-]+$/.test(name)) return "a topic name can have A-Z, a-z, 0-9, . _ and - only";
  if (name === "." || name === "..") return 'a topic cannot be named "." or ".."';
  if (name.length > TOPIC_LENGTH_MAX) {
    return `a topic name can have at most ${TOPIC_LENGTH_MAX} characters`;
  }
  return undefined;
}

/** What is wrong with a topic template; undefined if nothing is. */
export function topicTemplateFault(template: string): string | undefined {
  const fixed = template.replaceAll("{database}", "x").replaceAll("{table}", "x");
  if (/[{}]/.test(fixed)) return "the only placeholders are {database} and {table}";
  return topicNameFault(fixed);
}
