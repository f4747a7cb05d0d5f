using System.Text.Json.Nodes;

namespace Hull.Client.Formatting;

/// <summary>A part of a template that writes something.</summary>
internal abstract record TemplateNode;

internal sealed record TextNode(string Text) : TemplateNode;

/// <summary><c>{{pipeline}}</c>; one that declares or assigns a variable prints nothing.</summary>
internal sealed record ActionNode(Pipeline Pipeline) : TemplateNode;

internal sealed record IfNode(Pipeline Condition, IReadOnlyList<TemplateNode> Then, IReadOnlyList<TemplateNode> Else) : TemplateNode;

internal sealed record WithNode(Pipeline Value, IReadOnlyList<TemplateNode> Then, IReadOnlyList<TemplateNode> Else) : TemplateNode;

internal sealed record RangeNode(Pipeline Values, IReadOnlyList<TemplateNode> Body, IReadOnlyList<TemplateNode> Else) : TemplateNode;

internal sealed record BreakNode : TemplateNode;

internal sealed record ContinueNode : TemplateNode;

/// <summary>Commands joined by '|'; each gets the result of the one before as its last argument.</summary>
internal sealed record Pipeline(IReadOnlyList<string> Variables, bool Declares, IReadOnlyList<CommandNode> Commands);

/// <summary>A function with arguments, or one value.</summary>
internal sealed record CommandNode(string? Function, IReadOnlyList<Operand> Arguments);

internal abstract record Operand;

internal sealed record LiteralOperand(JsonNode? Value) : Operand;

/// <summary>The current value, or fields of it: <c>.</c>, <c>.State.Pid</c>.</summary>
internal sealed record DotOperand(IReadOnlyList<string> Fields) : Operand;

/// <summary>A variable, or fields of it; the empty name is <c>$</c>, the value the template began with.</summary>
internal sealed record VariableOperand(string Name, IReadOnlyList<string> Fields) : Operand;

internal sealed record NestedOperand(Pipeline Pipeline, IReadOnlyList<string> Fields) : Operand;

/// <summary>A function without arguments used as an argument.</summary>
internal sealed record FunctionOperand(string Name) : Operand;
