using Hull.Cli.Containers;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol.Machines;

namespace Hull.Cli.Vm;

/// <summary><c>hull vm push</c>: the disks as they are now, while the machine runs or not.</summary>
internal sealed class PushMachineVerb : Verb
{
    public override string Usage => "vm push MACHINE REFERENCE";

    public override int Run(Invocation call)
    {
        call.Expect(2, 2);
        var target = ImageReference.Parse(call.Arguments[1]).WithDefaultTag();
        var pushed = MachineClient.Send(call, "POST", MachineClient.Path(call.Arguments[0], "/push"), new MachinePushRequest(call.Arguments[1]),
            MachineProtocolJson.Default.MachinePushRequest, MachineProtocolJson.Default.MachinePushResource, RegistryLogin.Header(target));
        call.Output.WriteLine($"{pushed.Reference}@{pushed.Digest}");
        return 0;
    }
}

/// <summary><c>hull vm pull</c>: every byte is verified before the machine is there.</summary>
internal sealed class PullMachineVerb : Verb
{
    private readonly List<string> networks = [];

    public override string Usage => "vm pull [options] REFERENCE NAME";

    public override void Define(FlagSet flags) => flags
        .Value("network", null, "name", "a NIC on this network; may be given several times", networks.Add);

    public override int Run(Invocation call)
    {
        call.Expect(2, 2);
        var reference = ImageReference.Parse(call.Arguments[0]).WithDefaultTag();
        var machine = MachineClient.Send(call, "POST", "/hull/v1/machine-pulls", new MachinePullRequest(call.Arguments[0], call.Arguments[1], networks),
            MachineProtocolJson.Default.MachinePullRequest, MachineProtocolJson.Default.MachineResource, RegistryLogin.Header(reference));
        call.Output.WriteLine(machine.Name);
        return 0;
    }
}
