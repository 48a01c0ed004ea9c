/** LocalStack starts DynamoDB Local with a Java agent of its own, which it would download. */
public class NoAgent {
    public static void premain(String arguments) {
    }
}
