import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** Starts mongo-java-server on a port of the loopback. As it is shipped it declares a version that pymongo refuses. */
class Main {
    public static void main(String[] arguments) {
        MemoryBackend backend = new MemoryBackend();
        backend.version(new MongoVersion() {
            public List<Integer> getVersionArray() {
                return List.of(5, 0, 0);
            }

            public int getWireVersion() {
                return 9;
            }
        });
        try {
            new MongoServer(backend).bind("127.0.0.1", Integer.parseInt(arguments[0]));
        } catch (RuntimeException error) { // its threads would stay
            error.printStackTrace();
            System.exit(1);
        }
    }
}
