-- A small shop whose customers are a scheduled event: every two seconds an order comes, an older one is
-- paid, and what is older than ten minutes is deleted.
CREATE DATABASE shop CHARACTER SET utf8mb4;
USE shop;

CREATE TABLE products (
  sku VARCHAR(20) PRIMARY KEY,
  name VARCHAR(100) NOT NULL,
  price DECIMAL(10, 2) NOT NULL,
  stock INT NOT NULL
);

CREATE TABLE orders (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  sku VARCHAR(20) NOT NULL,
  quantity INT NOT NULL,
  amount DECIMAL(12, 2) NOT NULL,
  status ENUM('new', 'paid', 'shipped') NOT NULL DEFAULT 'new',
  created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  KEY (created_at),
  FOREIGN KEY (sku) REFERENCES products (sku)
);

INSERT INTO products VALUES
  ('LANTERN', 'Ship''s lantern', 49.90, 1000),
  ('ROPE', 'Rope, 20 m', 18.50, 1000),
  ('COMPASS', 'Compass in a brass box', 120.00, 1000);

INSERT INTO orders (sku, quantity, amount) VALUES
  ('LANTERN', 2, 99.80),
  ('COMPASS', 1, 120.00);

DELIMITER //
CREATE EVENT customers ON SCHEDULE EVERY 2 SECOND DO
BEGIN
  START TRANSACTION;
  SELECT sku, price INTO @sku, @price FROM products ORDER BY RAND() LIMIT 1;
  SET @quantity = 1 + FLOOR(RAND() * 3);
  INSERT INTO orders (sku, quantity, amount) VALUES (@sku, @quantity, @quantity * @price);
  UPDATE products SET stock = IF(stock < 10, 1000, stock - @quantity) WHERE sku = @sku;
  UPDATE orders SET status = 'paid' WHERE status = 'new' AND created_at < NOW() - INTERVAL 10 SECOND
    ORDER BY id LIMIT 1;
  DELETE FROM orders WHERE created_at < NOW() - INTERVAL 10 MINUTE ORDER BY id LIMIT 2;
  COMMIT;
END //
DELIMITER ;
