using System.Globalization;
using System.Text.Json.Nodes;
using Hull.Core;

namespace Hull.Client.Formatting;

/// <summary>Builds the tree of a template. The grammar is Go's text/template without <c>define</c>, <c>template</c> and <c>block</c>.</summary>
internal sealed class TemplateParser
{
    private const int MaximumDepth = 64;

    private readonly List<Token> _tokens;
    private int _position;
    private int _depth;

    private TemplateParser(List<Token> tokens) => _tokens = tokens;

    private Token Current => _tokens[_position];

    public static IReadOnlyList<TemplateNode> Parse(string source)
    {
        var parser = new TemplateParser(TemplateLexer.Read(source));
        var nodes = parser.ReadList();
        return parser.Current.Kind == TokenKind.End ? nodes : throw parser.Error($"unexpected {{{{{parser._tokens[parser._position + 1].Text}}}}}");
    }

    /// <summary>Reads nodes up to the end of the template or an <c>else</c> or <c>end</c>, which stays unread.</summary>
    private List<TemplateNode> ReadList()
    {
        if (++_depth > MaximumDepth) throw Error("it is nested too deeply");
        var nodes = new List<TemplateNode>();
        while (Current.Kind != TokenKind.End && !AtKeyword("else") && !AtKeyword("end"))
        {
            if (Current.Kind == TokenKind.Text) nodes.Add(new TextNode(Next().Text));
            else nodes.Add(ReadAction());
        }

        _depth--;
        return nodes;
    }

    private bool AtKeyword(string word) =>
        Current.Kind == TokenKind.Open && _tokens[_position + 1] is { Kind: TokenKind.Identifier } next && next.Text == word;

    private TemplateNode ReadAction()
    {
        Expect(TokenKind.Open, "{{");
        if (Current.Kind != TokenKind.Identifier) return ReadPlainAction();
        switch (Current.Text)
        {
            case "if": return ReadBlock((condition, then, otherwise) => new IfNode(condition, then, otherwise));
            case "with": return ReadBlock((value, then, otherwise) => new WithNode(value, then, otherwise));
            case "range": return ReadBlock((values, body, otherwise) => new RangeNode(values, body, otherwise));
            case "break": return ReadWord(new BreakNode());
            case "continue": return ReadWord(new ContinueNode());
            case "define" or "template" or "block": throw Error($"'{Current.Text}' is not supported: write the template in one piece");
            default: return ReadPlainAction();
        }
    }

    private ActionNode ReadPlainAction()
    {
        var pipeline = ReadPipeline();
        Expect(TokenKind.Close, "}}");
        return new ActionNode(pipeline);
    }

    private TemplateNode ReadWord(TemplateNode node)
    {
        _position++;
        Expect(TokenKind.Close, "}}");
        return node;
    }

    private TemplateNode ReadBlock(Func<Pipeline, IReadOnlyList<TemplateNode>, IReadOnlyList<TemplateNode>, TemplateNode> create)
    {
        var keyword = Next().Text;
        var pipeline = ReadPipeline();
        Expect(TokenKind.Close, "}}");
        var then = ReadList();
        IReadOnlyList<TemplateNode> otherwise = [];
        if (AtKeyword("else"))
        {
            _position += 2;
            // 'else if' and 'else with' share the 'end' of the block they belong to.
            if (Current is { Kind: TokenKind.Identifier, Text: "if" or "with" } && Current.Text == keyword)
            {
                if (++_depth > MaximumDepth) throw Error("it is nested too deeply");
                var chained = ReadBlock(create);
                _depth--;
                return create(pipeline, then, [chained]);
            }

            Expect(TokenKind.Close, "}}");
            otherwise = ReadList();
        }

        if (!AtKeyword("end")) throw Error($"'{keyword}' has no 'end'");
        _position += 2;
        Expect(TokenKind.Close, "}}");
        return create(pipeline, then, otherwise);
    }

    private Pipeline ReadPipeline()
    {
        var (variables, declares) = ReadVariables();
        var commands = new List<CommandNode> { ReadCommand() };
        while (Current.Kind == TokenKind.Pipe)
        {
            _position++;
            commands.Add(ReadCommand());
        }

        return new Pipeline(variables, declares, commands);
    }

    private (List<string> Variables, bool Declares) ReadVariables()
    {
        var start = _position;
        var names = new List<string>();
        while (Current.Kind == TokenKind.Variable && names.Count < 2)
        {
            names.Add(Next().Text);
            if (Current.Kind is TokenKind.Declare or TokenKind.Assign) return (names, Next().Kind == TokenKind.Declare);
            if (Current.Kind != TokenKind.Comma) break;
            _position++;
        }

        _position = start;
        return ([], false);
    }

    private CommandNode ReadCommand()
    {
        string? function = null;
        if (Current is { Kind: TokenKind.Identifier } word && !IsConstant(word.Text))
        {
            function = Next().Text;
            if (!TemplateFunctions.Exists(function)) throw Error($"no function '{function}'");
        }

        var arguments = new List<Operand>();
        while (Current.Kind is not (TokenKind.Close or TokenKind.Pipe or TokenKind.RightParenthesis or TokenKind.End)) arguments.Add(ReadOperand());
        if (function is null && arguments.Count != 1)
            throw Error(arguments.Count == 0 ? "a value is missing" : "only a function takes arguments");
        return new CommandNode(function, arguments);
    }

    private Operand ReadOperand()
    {
        var token = Next();
        switch (token.Kind)
        {
            case TokenKind.String: return new LiteralOperand(JsonValue.Create(token.Text));
            case TokenKind.Number: return new LiteralOperand(Number(token.Text));
            case TokenKind.Dot: return new DotOperand([]);
            case TokenKind.Field: return new DotOperand([token.Text, .. ReadFields()]);
            case TokenKind.Variable: return new VariableOperand(token.Text, ReadFields());
            case TokenKind.Identifier when IsConstant(token.Text):
                return new LiteralOperand(token.Text == "nil" ? null : JsonValue.Create(token.Text == "true"));
            case TokenKind.Identifier when TemplateFunctions.Exists(token.Text): return new FunctionOperand(token.Text);
            case TokenKind.LeftParenthesis:
                if (++_depth > MaximumDepth) throw Error("it is nested too deeply");
                var pipeline = ReadPipeline();
                _depth--;
                Expect(TokenKind.RightParenthesis, ")");
                return new NestedOperand(pipeline, ReadFields());
            default:
                _position--;
                throw Error(token.Kind == TokenKind.Identifier ? $"no function '{token.Text}'" : $"unexpected '{token.Text}'");
        }
    }

    private List<string> ReadFields()
    {
        var fields = new List<string>();
        while (Current is { Kind: TokenKind.Field, Spaced: false }) fields.Add(Next().Text);
        return fields;
    }

    private static bool IsConstant(string word) => word is "true" or "false" or "nil";

    private static JsonValue Number(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)
            ? JsonValue.Create(whole)
            : JsonValue.Create(double.Parse(text, CultureInfo.InvariantCulture));

    private Token Next() => Current.Kind == TokenKind.End ? throw Error("it ends too early") : _tokens[_position++];

    private void Expect(TokenKind kind, string text)
    {
        if (Current.Kind != kind) throw Error($"expected '{text}'");
        _position++;
    }

    private HullException Error(string message) => HullException.Invalid($"invalid template at character {Current.Position + 1}: {message}");
}
