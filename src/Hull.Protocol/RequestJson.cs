using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Hull.Protocol;

/// <summary>
/// Writes the requests that the whole life of a client may consist of, member by member: building the tables with which
/// <see cref="DockerJson"/> reads and writes them takes a third of the time of a program that lives for milliseconds. What
/// is read from it is the same; a test compares the two with every member set. Members that are null are left out: numbers that
/// may be null are written by those tables.
/// </summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Serialization, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(HostConfig))]
[JsonSerializable(typeof(NetworkingConfig))]
public sealed partial class RequestJson : JsonSerializerContext
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Body of <c>POST /containers/create</c> and <c>POST /hull/v1/run</c>.</summary>
    public static byte[] Write(ContainerCreateRequest request) => Write(writer => WriteCreate(writer, request));

    /// <summary>Body of <c>POST /containers/{id}/exec</c> and <c>POST /hull/v1/containers/{id}/exec</c>.</summary>
    public static byte[] Write(ExecCreateRequest request) => Write(writer => WriteExec(writer, request));

    private static byte[] Write(Action<Utf8JsonWriter> content)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using var writer = new Utf8JsonWriter(buffer, s_options);
        content(writer);
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteCreate(Utf8JsonWriter writer, ContainerCreateRequest request)
    {
        writer.WriteStartObject();
        if (request.HostConfig is { } host)
        {
            writer.WritePropertyName("HostConfig");
            Default.HostConfigSerializeHandler(writer, host);
        }

        if (request.NetworkingConfig is { } networking)
        {
            writer.WritePropertyName("NetworkingConfig");
            Default.NetworkingConfigSerializeHandler(writer, networking);
        }

        WriteProcess(writer, request);
        WriteImage(writer, request);
        writer.WriteEndObject();
    }

    private static void WriteProcess(Utf8JsonWriter writer, ContainerConfig config)
    {
        writer.WriteString("Hostname", config.Hostname);
        writer.WriteString("Domainname", config.Domainname);
        writer.WriteString("User", config.User);
        writer.WriteBoolean("AttachStdin", config.AttachStdin);
        writer.WriteBoolean("AttachStdout", config.AttachStdout);
        writer.WriteBoolean("AttachStderr", config.AttachStderr);
        if (config.ExposedPorts is not null) WriteSet(writer, "ExposedPorts", config.ExposedPorts);
        writer.WriteBoolean("Tty", config.Tty);
        writer.WriteBoolean("OpenStdin", config.OpenStdin);
        writer.WriteBoolean("StdinOnce", config.StdinOnce);
        WriteList(writer, "Env", config.Env);
        WriteList(writer, "Cmd", config.Cmd);
        if (config.Healthcheck is { } health) WriteHealth(writer, health);
        if (config.ArgsEscaped) writer.WriteBoolean("ArgsEscaped", true);
    }

    private static void WriteImage(Utf8JsonWriter writer, ContainerConfig config)
    {
        writer.WriteString("Image", config.Image);
        WriteSet(writer, "Volumes", config.Volumes);
        writer.WriteString("WorkingDir", config.WorkingDir);
        WriteList(writer, "Entrypoint", config.Entrypoint);
        if (config.NetworkDisabled) writer.WriteBoolean("NetworkDisabled", true);
        if (config.MacAddress is not null) writer.WriteString("MacAddress", config.MacAddress);
        WriteList(writer, "OnBuild", config.OnBuild);
        WriteMap(writer, "Labels", config.Labels);
        if (config.StopSignal is not null) writer.WriteString("StopSignal", config.StopSignal);
        if (config.StopTimeout is { } timeout) writer.WriteNumber("StopTimeout", timeout);
        if (config.Shell is not null) WriteList(writer, "Shell", config.Shell);
    }

    private static void WriteHealth(Utf8JsonWriter writer, HealthcheckConfig health)
    {
        writer.WriteStartObject("Healthcheck");
        if (health.Test is not null) WriteList(writer, "Test", health.Test);
        if (health.Interval != 0) writer.WriteNumber("Interval", health.Interval);
        if (health.Timeout != 0) writer.WriteNumber("Timeout", health.Timeout);
        if (health.StartPeriod != 0) writer.WriteNumber("StartPeriod", health.StartPeriod);
        if (health.StartInterval != 0) writer.WriteNumber("StartInterval", health.StartInterval);
        if (health.Retries != 0) writer.WriteNumber("Retries", health.Retries);
        if (health.OnFailure is not null) writer.WriteString("OnFailure", health.OnFailure);
        writer.WriteEndObject();
    }

    private static void WriteExec(Utf8JsonWriter writer, ExecCreateRequest request)
    {
        writer.WriteStartObject();
        writer.WriteString("User", request.User);
        writer.WriteBoolean("Privileged", request.Privileged);
        writer.WriteBoolean("Tty", request.Tty);
        if (request.ConsoleSize is null)
        {
            writer.WriteNull("ConsoleSize");
        }
        else
        {
            writer.WriteStartArray("ConsoleSize");
            foreach (var number in request.ConsoleSize) writer.WriteNumberValue(number);
            writer.WriteEndArray();
        }

        writer.WriteBoolean("AttachStdin", request.AttachStdin);
        writer.WriteBoolean("AttachStderr", request.AttachStderr);
        writer.WriteBoolean("AttachStdout", request.AttachStdout);
        writer.WriteBoolean("Detach", request.Detach);
        writer.WriteString("DetachKeys", request.DetachKeys);
        WriteList(writer, "Env", request.Env);
        writer.WriteString("WorkingDir", request.WorkingDir);
        WriteList(writer, "Cmd", request.Cmd);
        writer.WriteEndObject();
    }

    private static void WriteList(Utf8JsonWriter writer, string name, IReadOnlyList<string>? list)
    {
        if (list is null)
        {
            writer.WriteNull(name);
            return;
        }

        writer.WriteStartArray(name);
        foreach (var item in list) writer.WriteStringValue(item);
        writer.WriteEndArray();
    }

    private static void WriteSet(Utf8JsonWriter writer, string name, SortedSet<string>? set)
    {
        if (set is null)
        {
            writer.WriteNull(name);
            return;
        }

        writer.WriteStartObject(name);
        foreach (var item in set)
        {
            writer.WriteStartObject(item);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    private static void WriteMap(Utf8JsonWriter writer, string name, Dictionary<string, string>? map)
    {
        if (map is null)
        {
            writer.WriteNull(name);
            return;
        }

        writer.WriteStartObject(name);
        foreach (var (key, value) in map) writer.WriteString(key, value);
        writer.WriteEndObject();
    }
}
