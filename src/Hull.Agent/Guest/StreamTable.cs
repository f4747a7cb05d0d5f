using System.Buffers.Binary;
using Hull.Agent.Protocol;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Agent.Guest;

/// <summary>The open streams of the data port, by the ids the host gave them.</summary>
internal sealed class StreamTable(EventLoop loop, AgentPort port)
{
    private readonly Dictionary<uint, OutputStream> _outputs = [];
    private readonly Dictionary<uint, InputStream> _inputs = [];

    /// <summary>Takes ownership of a descriptor and sends what can be read from it.</summary>
    public void AddOutput(uint id, SafeFd descriptor)
    {
        SetNonBlocking(descriptor);
        var stream = new OutputStream(id, descriptor, port, Remove);
        _outputs[id] = stream;
        loop.Add(stream);
    }

    /// <summary>Takes ownership of a descriptor and writes to it what the host sends.</summary>
    /// <param name="keepOpen">The descriptor stays open when the host ends the stream, as a terminal must.</param>
    public void AddInput(uint id, SafeFd descriptor, bool keepOpen)
    {
        SetNonBlocking(descriptor);
        var stream = new InputStream(id, descriptor, keepOpen, port, Remove);
        _inputs[id] = stream;
        loop.Add(stream);
    }

    /// <summary>The host has marked the end of what it sends for now; see <see cref="Frame"/>.</summary>
    public bool Marked { get; set; }

    /// <summary>Gives the streams of a process the numbers of another host and closes all others, whose readers are elsewhere.</summary>
    public void Adopt(StreamIds old, StreamIds fresh)
    {
        var input = _inputs.GetValueOrDefault(old.Input);
        var output = _outputs.GetValueOrDefault(old.Output);
        var error = _outputs.GetValueOrDefault(old.Error);
        foreach (var other in _inputs.Values.Where(other => other != input || fresh.Input == 0).ToList()) Remove(other);
        foreach (var other in _outputs.Values.Where(other => (other != output || fresh.Output == 0) && (other != error || fresh.Error == 0)).ToList()) Remove(other);
        _inputs.Clear();
        _outputs.Clear();
        if (input is not null && fresh.Input != 0)
        {
            input.Rename(fresh.Input);
            _inputs[fresh.Input] = input;
        }

        foreach (var (stream, id) in (ReadOnlySpan<(OutputStream?, uint)>)[(output, fresh.Output), (error, fresh.Error)])
        {
            if (stream is null || id == 0) continue;
            stream.Rename(id);
            _outputs[id] = stream;
        }
    }

    /// <summary>Handles a frame of the data port; one for a stream that has ended meanwhile is dropped.</summary>
    public void Handle(Frame frame)
    {
        switch (frame.Kind)
        {
            case FrameKind.Data when _inputs.TryGetValue(frame.Id, out var input):
                input.Receive(frame.Payload.Span);
                break;
            case FrameKind.End when _inputs.TryGetValue(frame.Id, out var input):
                input.Finish();
                break;
            case FrameKind.Credit when _outputs.TryGetValue(frame.Id, out var output) && frame.Payload.Length == 4:
                output.Grant((int)Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(frame.Payload.Span), Frame.InitialCredit));
                break;
            case FrameKind.Reset when frame.Id == Frame.MarkerStream:
                Marked = true;
                break;
            case FrameKind.Reset when _outputs.TryGetValue(frame.Id, out var output):
                Remove(output);
                break;
        }
    }

    /// <summary>Closes streams of a process that is done with, whether or not they have ended.</summary>
    public void Close(StreamIds ids)
    {
        if (_inputs.TryGetValue(ids.Input, out var input)) Remove(input);
        if (_outputs.TryGetValue(ids.Output, out var output)) output.End();
        if (_outputs.TryGetValue(ids.Error, out var error)) error.End();
    }

    private void Remove(OutputStream stream)
    {
        if (!_outputs.Remove(stream.Id)) return;
        loop.Remove(stream);
        stream.Close();
    }

    private void Remove(InputStream stream)
    {
        if (!_inputs.Remove(stream.Id)) return;
        loop.Remove(stream);
        stream.Close();
    }

    private static void SetNonBlocking(SafeFd descriptor)
    {
        var flags = Check.Result(FileCalls.Fcntl(descriptor.Value, Fcntl.F_GETFL), $"read the flags of {descriptor}");
        Check.Result(FileCalls.Fcntl(descriptor.Value, Fcntl.F_SETFL, flags | Fcntl.O_NONBLOCK), $"set the flags of {descriptor}");
    }
}
