/** The template that topic names are made from. */
import { topicNameFault } from "../core/topic-name.ts";

/** What is wrong with a topic template; undefined if nothing is. */
export function topicTemplateFault(template: string): string | undefined {
  const fixed = template.replaceAll("{database}", "x").replaceAll("{table}", "x");
  if (/[{}]/.test(fixed)) return "the only placeholders are {database} and {table}";
  return topicNameFault(fixed);
}
