/** Kafka's own command-line tools under the names that its distribution gives them. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { kafkaProgram } from "../../tools/services/kafka-program.ts";

const TOOLS = {
  "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
  "kafka-configs.sh": "kafka.admin.ConfigCommand",
} as const;

/** Puts the tools into a folder, for the PATH of a shell. */
export async function installKafkaTools(folder: string): Promise<void> {
  const classPath = await kafkaProgram();
  for (const [name, mainClass] of Object.entries(TOOLS)) {
    const path = join(folder, name);
    const java = "java -Xshare:auto -XX:TieredStopAtLevel=1";
    writeFileSync(path, `#!/bin/sh\nexec ${java} -cp '${classPath}' ${mainClass} "$@"\n`);
    chmodSync(path, 0o755);
  }
}
