/** What Kafka takes as the name of a topic. */

const LENGTH_MAX = 249;

/** What is wrong with a topic name; undefined if nothing is. */
export function topicNameFault(name: string): string | undefined {
  if (!/^[A-Za-z0-9._-]+$/.test(name)) return "a topic name can have A-Z, a-z, 0-9, . _ and - only";
  if (name === "." || name === "..") return 'a topic cannot be named "." or ".."';
  if (name.length > LENGTH_MAX) {
    return `it has ${name.length} characters, a topic name at most ${LENGTH_MAX}`;
  }
  return undefined;
}
