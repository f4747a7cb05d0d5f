using Hull.Engine.Drivers;

namespace Hull.Engine.Logs;

/// <summary>One recorded piece of output: normally a line with its newline, or a part of a very long one.</summary>
/// <param name="Attributes">Fields recorded with the line; null for none.</param>
public readonly record struct LogEntry(DateTimeOffset At, OutputStream Stream, ReadOnlyMemory<byte> Bytes,
    IReadOnlyDictionary<string, string>? Attributes = null);
