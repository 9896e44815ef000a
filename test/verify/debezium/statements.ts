/** What is written beside the types: every kind of statement, key, name and transaction. */

/** Sessions are told apart by number: each has a thread id of its own. */
export interface Step {
  readonly session: 0 | 1 | 2;
  readonly sql: string;
}

const keys: readonly string[] = [
  "CREATE TABLE pair (a VARCHAR(5), n INT, b INT, PRIMARY KEY (b, a))",
  "INSERT INTO pair VALUES ('x', 1, 1), ('y', 2, 1), ('x', 3, 2)",
  "UPDATE pair SET n = n + 1",
  "UPDATE pair SET b = 9 WHERE a = 'y'",
  "UPDATE pair SET a = 'X' WHERE b = 1 AND a = 'x'",
  "UPDATE pair SET a = 'z', b = 3, n = NULL WHERE b = 2",
  "REPLACE INTO pair VALUES ('y', 10, 9), ('new', 11, 4)",
  "INSERT INTO pair VALUES ('y', 0, 9), ('w', 0, 5) ON DUPLICATE KEY UPDATE n = 99",
  "DELETE FROM pair WHERE b > 3",
  "CREATE TABLE prefix (name VARCHAR(50), n INT, PRIMARY KEY (name(3)))",
  "INSERT INTO prefix VALUES ('abcdef', 1), ('xyz123', 2)",
  "UPDATE prefix SET name = 'abcxxx' WHERE n = 1",
  "DELETE FROM prefix",
  "CREATE TABLE no_key (a INT, b VARCHAR(10), UNIQUE KEY (a))",
  "INSERT INTO no_key VALUES (1, 'x'), (2, 'y'), (NULL, NULL), (NULL, NULL)",
  "UPDATE no_key SET a = 5 WHERE a = 1",
  "DELETE FROM no_key WHERE b IS NULL",
  "CREATE TABLE unique_only (u INT NOT NULL UNIQUE, v INT)",
  "INSERT INTO unique_only VALUES (1, 1), (2, 2)",
  "UPDATE unique_only SET v = 3",
  "DELETE FROM unique_only WHERE u = 1",
  "CREATE TABLE unique_many (a INT, b INT NOT NULL, c INT NOT NULL, d INT NOT NULL, UNIQUE (a), UNIQUE (c, b), UNIQUE (d))",
  "INSERT INTO unique_many VALUES (NULL, 1, 2, 3), (4, 5, 6, 7)",
  "UPDATE unique_many SET b = -b",
  "UPDATE unique_many SET d = -d",
  "DELETE FROM unique_many",
  "CREATE TABLE parts (id INT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 4",
  "INSERT INTO parts VALUES (1, 1), (2, 2), (3, 3), (4, 4)",
  "UPDATE parts SET v = -v",
  "UPDATE parts SET id = id + 10",
  "ALTER TABLE parts TRUNCATE PARTITION p0",
  "DELETE FROM parts WHERE v < -1",
];

const names: readonly string[] = [
  "CREATE TABLE `order` (`select` INT PRIMARY KEY, `from` INT, `Group` INT)",
  "INSERT INTO `order` VALUES (1, 2, 3)",
  "UPDATE `order` SET `select` = 2",
  'CREATE TABLE `we\'ird ``t`` "q" ü-1` (`a b` INT, `c``d` INT, `"` INT, `\\\\` INT, `ключ` INT, PRIMARY KEY (`a b`, `ключ`))',
  'INSERT INTO `we\'ird ``t`` "q" ü-1` VALUES (1, 2, 3, 4, 5)',
  'UPDATE `we\'ird ``t`` "q" ü-1` SET `c``d` = 9, `ключ` = 6',
  "CREATE TABLE `Dotted.name` (`a.b` INT PRIMARY KEY, `__proto__` INT, `constructor` INT, `1` INT, `op` INT)",
  "INSERT INTO `Dotted.name` VALUES (1, 2, 3, 4, 5)",
  "DELETE FROM `Dotted.name`",
];

const defaults: readonly string[] = [
  `CREATE TABLE with_defaults (id INT PRIMARY KEY, i INT DEFAULT 5, u BIGINT UNSIGNED DEFAULT 18446744073709551615,
     v VARCHAR(10) DEFAULT 'x''y', e ENUM('a','b') DEFAULT 'b', s SET('a','b') DEFAULT 'a,b', d DECIMAL(5,2) DEFAULT 1.5,
     f FLOAT DEFAULT 0.1, g DOUBLE DEFAULT 1e20, b BIT(3) DEFAULT b'101', o BOOL DEFAULT TRUE, y YEAR DEFAULT 2026,
     dt DATE DEFAULT '2026-11-21', dm DATETIME DEFAULT '2026-11-21 01:02:03', du DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6),
     ti TIME DEFAULT '01:02:03', ts TIMESTAMP NULL DEFAULT '2026-11-21 01:02:03', bi BINARY(3) DEFAULT 'a', j JSON)`,
  "INSERT INTO with_defaults (id) VALUES (1)",
  `INSERT INTO with_defaults VALUES
     (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
  "UPDATE with_defaults SET i = 0, v = '' WHERE id = 2",
  "UPDATE with_defaults SET j = '{}'",
  `CREATE TABLE needed (id INT PRIMARY KEY, i INT NOT NULL DEFAULT -1, v VARCHAR(9) NOT NULL DEFAULT '',
     dt DATE NOT NULL DEFAULT '0000-00-00', dm DATETIME(3) NOT NULL DEFAULT '0000-00-00', ts TIMESTAMP NOT NULL DEFAULT '0000-00-00')`,
  "INSERT INTO needed (id) VALUES (1)",
  "UPDATE needed SET i = 1, dt = '2026-01-01'",
];

/** Types by their other names. */
const synonyms: readonly string[] = [
  `CREATE TABLE synonyms (id SERIAL PRIMARY KEY, z INT(5) ZEROFILL, r REAL, p DOUBLE PRECISION, n NCHAR(3),
     nv NATIONAL VARCHAR(5), x FIXED(5,2), f FLOAT(30), f2 FLOAT(20), b BLOB(10), t TEXT(100), cb CHAR(3) BINARY,
     vb VARCHAR(5) CHARACTER SET binary, bb CHAR(3) BYTE, i1 INT1, i2 INT2, i8 INT8 UNSIGNED, m MIDDLEINT, lv LONG VARBINARY,
     l LONG, u INTEGER UNSIGNED, b8 BOOLEAN, d DEC, t1 TINYINT(1), t2 TINYINT(1) UNSIGNED)`,
  `INSERT INTO synonyms VALUES (1, 42, 1, 2, 'é', 'ü', 1.5, 3, 0.1, x'00', 'text', 'ab', x'0102', x'61', -1, -2,
     9223372036854775808, -3, x'FF', 'long', 4294967295, TRUE, 7, 1, 1)`,
  "UPDATE synonyms SET t1 = 2, z = NULL, b8 = 0, r = 1e30",
];

const transactions: readonly string[] = [
  "CREATE TABLE left_one (id INT PRIMARY KEY, v VARCHAR(2000))",
  "CREATE TABLE right_one (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(2000))",
  "BEGIN; INSERT INTO left_one VALUES (1, 'a'); INSERT INTO right_one (v) VALUES ('b'); UPDATE left_one SET v = 'c'; COMMIT",
  "BEGIN; INSERT INTO left_one VALUES (2, 'a'); ROLLBACK",
  "BEGIN; INSERT INTO left_one VALUES (3, 'a'); SAVEPOINT s; INSERT INTO left_one VALUES (4, 'b'); ROLLBACK TO s; INSERT INTO left_one VALUES (5, 'c'); COMMIT",
  // More than one rows event: the number of a row begins anew in each.
  "INSERT INTO right_one (v) SELECT REPEAT('long', 400) FROM information_schema.COLLATIONS LIMIT 40",
  "UPDATE right_one SET v = CONCAT(id, v)",
  "UPDATE left_one, right_one SET left_one.v = 'both', right_one.v = 'both' WHERE left_one.id = right_one.id",
  "DELETE left_one, right_one FROM left_one JOIN right_one USING (id)",
  "CREATE TABLE log (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(20))",
  "CREATE TRIGGER logged AFTER INSERT ON left_one FOR EACH ROW INSERT INTO log (what) VALUES (CONCAT('added ', NEW.id))",
  "INSERT INTO left_one VALUES (20, 'x'), (21, 'y')",
  "DROP TRIGGER logged",
  "CREATE TABLE parent (id INT PRIMARY KEY); CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)",
  "INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1), (2, 1), (3, 2)",
  "UPDATE parent SET id = 3 WHERE id = 2; DELETE FROM parent WHERE id = 1",
  "CREATE TEMPORARY TABLE passing (id INT); INSERT INTO passing VALUES (1); DROP TEMPORARY TABLE passing",
  "SET time_zone = '+05:30'; CREATE TABLE zoned (id INT PRIMARY KEY, t TIMESTAMP, d DATETIME); INSERT INTO zoned VALUES (1, '2026-11-21 01:02:03', '2026-11-21 01:02:03'); SET time_zone = '+00:00'",
  "SET binlog_rows_query_log_events = ON; INSERT INTO left_one VALUES (30, 'q'); SET binlog_rows_query_log_events = OFF",
  "CREATE TABLE alike LIKE left_one; INSERT INTO alike SELECT * FROM left_one",
];

const shapes: readonly string[] = [
  "CREATE TABLE evolving (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO evolving VALUES (1, 'a')",
  "ALTER TABLE evolving ADD COLUMN front BIGINT UNSIGNED FIRST; INSERT INTO evolving VALUES (1, 2, 'b')",
  "ALTER TABLE evolving ADD COLUMN mid DATETIME(3) NOT NULL DEFAULT '2026-01-02' AFTER id; UPDATE evolving SET v = 'c'",
  "ALTER TABLE evolving RENAME COLUMN v TO w; UPDATE evolving SET w = 'd'",
  "ALTER TABLE evolving MODIFY w VARCHAR(20) CHARACTER SET utf16, DROP COLUMN front; UPDATE evolving SET w = 'é😀'",
  "ALTER TABLE evolving CHANGE w t BLOB; UPDATE evolving SET t = x'00FF'",
  "ALTER TABLE evolving ADD COLUMN k INT NOT NULL DEFAULT 0; UPDATE evolving SET k = id + 5; ALTER TABLE evolving DROP PRIMARY KEY, ADD PRIMARY KEY (k); UPDATE evolving SET id = -id; UPDATE evolving SET k = k + 10",
  "RENAME TABLE evolving TO evolved; INSERT INTO evolved (id, k) VALUES (7, 7)",
  "TRUNCATE TABLE evolved; INSERT INTO evolved (id, k) VALUES (8, 8)",
  "DROP TABLE evolved; CREATE TABLE evolved (other VARCHAR(5) PRIMARY KEY); INSERT INTO evolved VALUES ('new')",
];

/** What 8.0.15 does not know. */
const modern: readonly string[] = [
  // A transaction of its own kind since 8.0.21, forbidden before.
  "CREATE TABLE copied SELECT id, v FROM left_one; INSERT INTO copied VALUES (40, 'more')",
  "SET binlog_transaction_compression = ON",
  "CREATE TABLE packed (id INT PRIMARY KEY, v VARCHAR(1000))",
  "BEGIN; INSERT INTO packed VALUES (1, REPEAT('a', 900)), (2, 'b'); UPDATE packed SET v = 'c' WHERE id = 1; COMMIT",
  "DELETE FROM packed",
  "SET binlog_transaction_compression = OFF",
  "SET sql_generate_invisible_primary_key = ON",
  "CREATE TABLE hidden_key (v INT)",
  "INSERT INTO hidden_key VALUES (1), (2)",
  "UPDATE hidden_key SET v = 3; DELETE FROM hidden_key WHERE v = 3 LIMIT 1",
  "SET sql_generate_invisible_primary_key = OFF",
  "SET gtid_next = 'AUTOMATIC:tag'",
  "INSERT INTO left_one VALUES (50, 'tagged')",
  "SET gtid_next = 'AUTOMATIC'",
];

export function stepsOf(version: "mysql-8" | "mysql-9"): readonly Step[] {
  const step =
    (session: Step["session"]) =>
    (sql: string): Step => ({ session, sql });
  return [
    ...keys.map(step(0)),
    ...names.map(step(1)),
    ...defaults.map(step(2)),
    ...synonyms.map(step(2)),
    ...transactions.map(step(0)),
    ...shapes.map(step(1)),
    ...(version === "mysql-9" ? modern.map(step(0)) : []),
  ];
}
