using System.Text;
using System.Text.Json.Nodes;
using Hull.Core;

namespace Hull.Client.Formatting;

/// <summary>
/// A template in the language of Go's text/template, as <c>--format</c> takes it, applied to JSON values.
/// A field is found by its exact name or, failing that, without regard to case; one that is missing prints
/// <c>&lt;no value&gt;</c>, and a field of something missing is an error, as in Go.
/// </summary>
public sealed class OutputTemplate
{
    private readonly IReadOnlyList<TemplateNode> _nodes;

    private OutputTemplate(IReadOnlyList<TemplateNode> nodes) => _nodes = nodes;

    /// <summary>Parses a template; throws <see cref="ErrorKind.InvalidArgument"/> with the place of the mistake.</summary>
    public static OutputTemplate Parse(string text) => new(TemplateParser.Parse(text));

    /// <summary>Applies the template to <paramref name="value"/>; throws <see cref="ErrorKind.InvalidArgument"/> where it does not fit.</summary>
    public string Apply(JsonNode? value)
    {
        var run = new TemplateRun(value);
        run.Write(_nodes, value);
        return run.Output;
    }
}

/// <summary>One application of a template: its output so far and its variables.</summary>
internal sealed class TemplateRun(JsonNode? root)
{
    private enum Flow { Next, Break, Continue }

    private readonly StringBuilder _output = new();
    private readonly List<(string Name, JsonNode? Value)> _variables = [("", root)];

    public string Output => _output.ToString();

    public void Write(IReadOnlyList<TemplateNode> nodes, JsonNode? dot) => WriteList(nodes, dot);

    private Flow WriteList(IReadOnlyList<TemplateNode> nodes, JsonNode? dot)
    {
        var scope = _variables.Count;
        var flow = Flow.Next;
        foreach (var node in nodes)
        {
            flow = WriteNode(node, dot);
            if (flow != Flow.Next) break;
        }

        _variables.RemoveRange(scope, _variables.Count - scope);
        return flow;
    }

    private Flow WriteNode(TemplateNode node, JsonNode? dot)
    {
        switch (node)
        {
            case TextNode text: _output.Append(text.Text); return Flow.Next;
            case ActionNode action:
                var value = Evaluate(action.Pipeline, dot);
                if (action.Pipeline.Variables.Count == 0) _output.Append(TemplateFunctions.Print(value));
                return Flow.Next;
            case IfNode choice: return Scoped(() => WriteList(TemplateFunctions.IsTrue(Evaluate(choice.Condition, dot)) ? choice.Then : choice.Else, dot));
            case WithNode with:
                return Scoped(() => Evaluate(with.Value, dot) is var inner && TemplateFunctions.IsTrue(inner) ? WriteList(with.Then, inner) : WriteList(with.Else, dot));
            case RangeNode range: return Scoped(() => WriteRange(range, dot));
            case BreakNode: return Flow.Break;
            case ContinueNode: return Flow.Continue;
            default: throw HullException.Internal($"template node {node.GetType().Name} is not handled");
        }
    }

    private Flow Scoped(Func<Flow> write)
    {
        var scope = _variables.Count;
        var flow = write();
        _variables.RemoveRange(scope, _variables.Count - scope);
        return flow;
    }

    private Flow WriteRange(RangeNode range, JsonNode? dot)
    {
        var values = Evaluate(range.Values with { Variables = [] }, dot);
        var items = Entries(values).ToList();
        if (items.Count == 0) return WriteList(range.Else, dot);
        var names = range.Values.Variables;
        foreach (var (key, item) in items)
        {
            var scope = _variables.Count;
            if (names.Count == 2) _variables.Add((names[0], key));
            if (names.Count > 0) _variables.Add((names[^1], item));
            var flow = WriteList(range.Body, item);
            _variables.RemoveRange(scope, _variables.Count - scope);
            if (flow == Flow.Break) break;
        }

        return Flow.Next;
    }

    private static IEnumerable<(JsonNode? Key, JsonNode? Value)> Entries(JsonNode? values) => values switch
    {
        JsonObject fields => fields.OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => ((JsonNode?)JsonValue.Create(field.Key), field.Value)),
        _ => TemplateFunctions.Items(values).Select((item, index) => ((JsonNode?)JsonValue.Create(index), item)),
    };

    private JsonNode? Evaluate(Pipeline pipeline, JsonNode? dot)
    {
        JsonNode? value = null;
        for (var i = 0; i < pipeline.Commands.Count; i++) value = Evaluate(pipeline.Commands[i], dot, i > 0, value);
        if (pipeline.Variables.Count == 1) Assign(pipeline.Variables[0], value, pipeline.Declares);
        else if (pipeline.Variables.Count > 1) throw HullException.Invalid("invalid template: two variables belong to 'range' only");
        return value;
    }

    private void Assign(string name, JsonNode? value, bool declares)
    {
        var index = declares ? -1 : _variables.FindLastIndex(variable => variable.Name == name);
        if (!declares && index < 0) throw HullException.Invalid($"invalid template: no variable ${name}");
        if (declares) _variables.Add((name, value));
        else _variables[index] = (name, value);
    }

    private JsonNode? Evaluate(CommandNode command, JsonNode? dot, bool piped, JsonNode? previous)
    {
        if (command.Function is null)
            return piped ? throw HullException.Invalid("invalid template: after '|' a function is expected") : Evaluate(command.Arguments[0], dot);
        var arguments = command.Arguments.Select(argument => Evaluate(argument, dot)).ToList();
        if (piped) arguments.Add(previous);
        return TemplateFunctions.Call(command.Function, arguments);
    }

    private JsonNode? Evaluate(Operand operand, JsonNode? dot) => operand switch
    {
        LiteralOperand literal => literal.Value,
        DotOperand fields => Follow(dot, fields.Fields),
        VariableOperand variable => Follow(Variable(variable.Name), variable.Fields),
        NestedOperand nested => Follow(Evaluate(nested.Pipeline, dot), nested.Fields),
        FunctionOperand function => TemplateFunctions.Call(function.Name, []),
        _ => throw HullException.Internal($"template operand {operand.GetType().Name} is not handled"),
    };

    private JsonNode? Variable(string name) => _variables.FindLastIndex(variable => variable.Name == name) is var index and >= 0
        ? _variables[index].Value
        : throw HullException.Invalid($"invalid template: no variable ${name}");

    private static JsonNode? Follow(JsonNode? value, IReadOnlyList<string> fields)
    {
        foreach (var field in fields)
        {
            value = value switch
            {
                JsonObject parent => Field(parent, field),
                null => throw HullException.Invalid($"invalid template: field '{field}' of nothing"),
                _ => throw HullException.Invalid($"invalid template: '{TemplateFunctions.Print(value)}' has no field '{field}'"),
            };
        }

        return value;
    }

    private static JsonNode? Field(JsonObject parent, string name)
    {
        if (parent.TryGetPropertyValue(name, out var value)) return value;
        foreach (var (key, other) in parent)
        {
            if (key.Equals(name, StringComparison.OrdinalIgnoreCase)) return other;
        }

        return null;
    }
}
