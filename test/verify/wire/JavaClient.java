import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.DefaultRecordBatch;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.BufferSupplier;

/**
 * What Kafka's own Java client does with the cases of a file (cases.ts), and how it unpacks batches.
 *
 *   produce BROKERS CASES   sends each case as one batch
 *   unpack BATCHES RECORDS  batches, one after the other → of each the length of its records, unpacked, and they
 */
public class JavaClient {
  public static void main(String[] args) throws Exception {
    if (args[0].equals("produce")) produce(args[1], Path.of(args[2]));
    else unpack(Path.of(args[1]), Path.of(args[2]));
  }

  private static void produce(String brokers, Path cases) throws Exception {
    Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
    try (DataInputStream in = open(cases)) {
      for (int left = in.readInt(); left > 0; left -= 1) {
        String topic = text(in);
        String compression = text(in);
        boolean idempotent = in.readByte() == 1;
        long timestamp = in.readLong();
        KafkaProducer<byte[], byte[]> producer =
            producers.computeIfAbsent(topic, t -> producer(brokers, compression, idempotent));
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int records = in.readInt(); records > 0; records -= 1) {
          byte[] key = bytes(in);
          byte[] value = bytes(in);
          List<Header> headers = new ArrayList<>();
          for (int count = in.readInt(); count > 0; count -= 1) {
            headers.add(new RecordHeader(text(in), bytes(in)));
          }
          sent.add(producer.send(new ProducerRecord<>(topic, 0, timestamp, key, value, headers)));
        }
        producer.flush();
        for (Future<RecordMetadata> one : sent) one.get();
      }
    }
    producers.values().forEach(KafkaProducer::close);
  }

  /** Waits for the flush and has room for a whole case, so that each becomes one batch. */
  private static KafkaProducer<byte[], byte[]> producer(
      String brokers, String compression, boolean idempotent) {
    Map<String, Object> options = new HashMap<>();
    options.put("bootstrap.servers", brokers);
    options.put("compression.type", compression);
    options.put("enable.idempotence", idempotent);
    options.put("acks", "all");
    options.put("linger.ms", 120_000);
    options.put("delivery.timeout.ms", 300_000);
    options.put("batch.size", 4_000_000);
    options.put("buffer.memory", 32_000_000);
    options.put("max.request.size", 8_000_000);
    return new KafkaProducer<>(options, new ByteArraySerializer(), new ByteArraySerializer());
  }

  private static void unpack(Path from, Path to) throws IOException {
    ByteBuffer batches = ByteBuffer.wrap(Files.readAllBytes(from));
    try (DataOutputStream out =
        new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(to)))) {
      for (MutableRecordBatch batch : MemoryRecords.readableRecords(batches).batches()) {
        batch.ensureValid();
        try (InputStream records =
            ((DefaultRecordBatch) batch).recordInputStream(BufferSupplier.NO_CACHING)) {
          byte[] plain = records.readAllBytes();
          out.writeInt(plain.length);
          out.write(plain);
        }
      }
    }
  }

  private static DataInputStream open(Path path) throws IOException {
    return new DataInputStream(new BufferedInputStream(Files.newInputStream(path)));
  }

  private static String text(DataInputStream in) throws IOException {
    return new String(bytes(in), StandardCharsets.UTF_8);
  }

  private static byte[] bytes(DataInputStream in) throws IOException {
    int length = in.readInt();
    return length < 0 ? null : in.readNBytes(length);
  }
}
