import { describeReader } from "../contract/reader.ts";
import { versions } from "./source-server.ts";

for (const version of versions) {
  describeReader(version, "native");
  describeReader(version, "zongji");
}
