-- The workload of the benchmarks: a table of orders and a procedure that fills it.
--
-- `CALL load_orders(20000, 10)` commits 20,000 transactions with 242,000 row changes, each in an event of
-- its own: 200,000 inserts, 40,000 updates, 2,000 deletes, some 93 MB of binlog with full row metadata.
CREATE DATABASE IF NOT EXISTS bench;
USE bench;
DROP TABLE IF EXISTS orders;
CREATE TABLE orders (
  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer_id int NOT NULL,
  status enum('new','paid','shipped','returned') NOT NULL,
  amount decimal(10,2) NOT NULL,
  note varchar(255),
  tags json,
  weight double,
  flags set('a','b','c'),
  created_at datetime(6) NOT NULL,
  updated_at timestamp(3) NULL,
  KEY (customer_id)
) CHARSET utf8mb4;
DROP PROCEDURE IF EXISTS load_orders;
DELIMITER //
CREATE PROCEDURE load_orders(txns int, per int)
BEGIN
  DECLARE i int DEFAULT 0;
  DECLARE j int;
  WHILE i < txns DO
    START TRANSACTION;
    SET j = 0;
    WHILE j < per DO
      INSERT INTO orders (customer_id, status, amount, note, tags, weight, flags, created_at, updated_at)
      VALUES (floor(rand()*1000000), elt(1+floor(rand()*4),'new','paid','shipped','returned'), round(rand()*100000,2),
              concat('order note ', i, '-', j, ' ', repeat('x', floor(rand()*60))),
              json_object('src', if(rand()<0.5,'web','app'), 'n', i, 'ok', true),
              rand()*100, 'a,c', now(6), now(3));
      SET j = j + 1;
    END WHILE;
    IF i % 2 = 0 THEN
      UPDATE orders SET status='paid', updated_at=now(3), amount=amount+1
      WHERE id BETWEEN last_insert_id()-3 AND last_insert_id();
    END IF;
    IF i % 10 = 0 THEN
      DELETE FROM orders WHERE id = last_insert_id();
    END IF;
    COMMIT;
    SET i = i + 1;
  END WHILE;
END//
DELIMITER ;
