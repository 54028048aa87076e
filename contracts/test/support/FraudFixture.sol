// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsdc} from "../../dev/TestUsdc.sol";
import {BatchChain, ChainTerms} from "../../src/chain/BatchChain.sol";
import {BatchHeader, IBatchChain} from "../../src/chain/IBatchChain.sol";
import {Custody} from "../../src/custody/Custody.sol";
import {Affirmation} from "../../src/dispute/Affirmation.sol";
import {Dispute, DisputeTerms} from "../../src/dispute/Dispute.sol";
import {CycleClaim, IDispute, PreviousCycle, StateParts} from "../../src/dispute/IDispute.sol";
import {Cells} from "../../src/lib/Cells.sol";
import {ParameterStore} from "../../src/lib/ParameterStore.sol";
import {FixedWindowPolicy} from "../../src/policy/FixedWindowPolicy.sol";
import {SingleProposer} from "../../src/policy/SingleProposer.sol";
import {ICycleRule} from "../../src/rules/ICycleRule.sol";
import {Fixture} from "./Fixture.sol";
import {Reference} from "./Reference.sol";

library ScriptedPayload {
    function rootAfter(bytes32 preStateRoot, bytes memory payload) internal pure returns (bytes32 root) {
        assembly ("memory-safe") {
            root := mload(add(payload, 35))
        }
        if (root == 0) root = keccak256(bytes.concat(preStateRoot, payload));
    }
}

/// @notice A rule whose payload says what is wrong with it: `version, kind, code of execute, root after, accounts: (number u24, code
/// of check)…`. A zero root stands for keccak256(root before ‖ payload).
contract ScriptedRule is ICycleRule {
    uint256 public immutable kind;
    bool public immutable isBounded;

    uint256 private constant ACCOUNTS = 35;

    constructor(uint256 kind_, bool isBounded_) {
        (kind, isBounded) = (kind_, isBounded_);
    }

    function execute(address, bytes32 preStateRoot, bytes calldata payload, bytes calldata)
        external
        pure
        returns (uint256 code, bytes32 postStateRoot)
    {
        if (payload.length < ACCOUNTS) return (100, 0);
        code = uint8(payload[2]);
        if (code == 0) postStateRoot = ScriptedPayload.rootAfter(preStateRoot, payload);
    }

    function check(address, bytes32, bytes calldata payload, uint256 account, bytes calldata)
        external
        pure
        returns (uint256 code)
    {
        for (uint256 i = ACCOUNTS; i + 4 <= payload.length; i += 4) {
            if (uint24(bytes3(payload[i:i + 3])) == account) return uint8(payload[i + 3]);
        }
    }

    function accountsOf(bytes calldata payload) external pure returns (uint256[] memory accounts) {
        accounts = new uint256[]((payload.length - ACCOUNTS) / 4);
        for (uint256 i = 0; i < accounts.length; ++i) {
            accounts[i] = uint24(bytes3(payload[ACCOUNTS + 4 * i:ACCOUNTS + 4 * i + 3]));
        }
    }
}

/// @notice Writes down what the dispute contract says.
contract RecordingRegistry {
    struct Slash {
        address proposer;
        uint64 number;
        address challenger;
    }

    Slash[] public slashes;

    function slashProposer(address proposer, uint64 number, address challenger) external {
        slashes.push(Slash(proposer, number, challenger));
    }

    function count() external view returns (uint256) {
        return slashes.length;
    }
}

contract RecordingEscape {
    uint64[] public lateFrauds;

    function lateFraud(uint64 number) external {
        lateFrauds.push(number);
    }

    function count() external view returns (uint256) {
        return lateFrauds.length;
    }
}

/// @notice The chain with real dispute and affirmation contracts, scripted rules of kinds 1 (bounded) and 2 (not).
abstract contract FraudFixture is Fixture {
    uint256 internal constant KNOWN_KINDS = 14;

    /// @notice One batch and its cycles.
    struct Posted {
        BatchHeader header;
        bytes[] payloads;
        bytes32[] roots;
    }

    Dispute internal dispute;
    Affirmation internal affirmation;
    RecordingRegistry internal registry;
    RecordingEscape internal escapeContract;

    function deployFraud(bool withEscape) internal {
        usdc = new TestUsdc();
        FixedWindowPolicy policy = new FixedWindowPolicy(WINDOW, GUARD);
        SingleProposer proposers = new SingleProposer(PROPOSER);
        registry = new RecordingRegistry();
        escapeContract = new RecordingEscape();
        ICycleRule[] memory rules = new ICycleRule[](2);
        rules[0] = new ScriptedRule(1, true);
        rules[1] = new ScriptedRule(2, false);
        address store = address(new ParameterStore("genesis parameters"));
        uint256 nonce = vm.getNonce(address(this));
        address chainAt = vm.computeCreateAddress(address(this), nonce + 2);
        dispute = new Dispute(
            DisputeTerms({
                batchChain: IBatchChain(chainAt),
                parameters: store,
                knownKinds: KNOWN_KINDS,
                stakeRegistry: address(registry),
                escape: withEscape ? address(escapeContract) : address(0)
            }),
            rules
        );
        affirmation = new Affirmation(IBatchChain(chainAt), IDispute(address(dispute)));
        ChainTerms memory terms =
            termsOf(vm.computeCreateAddress(address(this), nonce + 3), GENESIS_ROOT, policy, proposers);
        terms.dispute = address(dispute);
        terms.affirmation = address(affirmation);
        chain = new BatchChain(terms);
        custody = new Custody(custodyTerms(usdc));
        vm.deal(PROPOSER, 1_000 ether);
    }

    /// @notice A payload of kind 1 that is right at `accounts` accounts from `first` on.
    function rightPayload(uint256 accounts, uint256 first) internal pure returns (bytes memory) {
        return payloadTo(0, accounts, first);
    }

    function payloadTo(bytes32 root, uint256 accounts, uint256 first) internal pure returns (bytes memory payload) {
        payload = bytes.concat(hex"010100", root);
        for (uint256 i = 0; i < accounts; ++i) {
            payload = bytes.concat(payload, bytes3(uint24(first + i)), hex"00");
        }
    }

    /// @notice A batch that is right in everything: cycles of 0, 1, … accounts, the last one to a state that the header is of.
    function rightBatch(uint256 cycleCount) internal view returns (Posted memory posted, StateParts memory state) {
        (BatchHeader memory header,) = nextBatch(1, 0);
        bytes32 root;
        (state, root) = stateFor(header);
        bytes[] memory payloads = new bytes[](cycleCount);
        for (uint256 i = 0; i < cycleCount; ++i) {
            payloads[i] = payloadTo(i == cycleCount - 1 ? root : bytes32(0), i % 4, 10 * i);
        }
        posted = build(payloads, cycleCount);
    }

    /// @notice A batch of these payloads whose roots are the rule's but for cycle `forged` (none: the count).
    function build(bytes[] memory payloads, uint256 forged) internal view returns (Posted memory posted) {
        (posted.header,) = nextBatch(1, 0);
        posted.payloads = payloads;
        posted.roots = new bytes32[](payloads.length);
        bytes32 root = posted.header.preStateRoot;
        bytes32[] memory leaves = new bytes32[](payloads.length);
        for (uint256 i = 0; i < payloads.length; ++i) {
            root = i == forged ? keccak256("forged") : ScriptedPayload.rootAfter(root, payloads[i]);
            posted.roots[i] = root;
            leaves[i] = Reference.cycleLeaf(payloads[i], root);
        }
        posted.header.cycleCount = uint32(payloads.length);
        posted.header.postStateRoot = root;
        posted.header.cyclesRoot = Reference.cyclesRoot(leaves, 0, leaves.length);
        posted.header.dataLength = uint32(dataOf(posted).length);
    }

    function dataOf(Posted memory posted) internal pure returns (bytes memory data) {
        for (uint256 i = 0; i < posted.payloads.length; ++i) {
            data = bytes.concat(data, bytes4(uint32(posted.payloads[i].length)), posted.roots[i], posted.payloads[i]);
        }
    }

    function claimOf(Posted memory posted, uint256 index)
        internal
        pure
        returns (CycleClaim memory claim, PreviousCycle memory previous)
    {
        claim = CycleClaim(uint32(index), posted.roots[index], posted.payloads[index], pathOf(posted, index));
        if (index == 0) return (claim, previous);
        bytes memory before = posted.payloads[index - 1];
        previous =
            PreviousCycle(keccak256(before), uint32(before.length), posted.roots[index - 1], pathOf(posted, index - 1));
    }

    function pathOf(Posted memory posted, uint256 index) internal pure returns (bytes32[] memory path) {
        bytes32[] memory nodes = new bytes32[](posted.payloads.length);
        for (uint256 i = 0; i < nodes.length; ++i) {
            nodes[i] = Reference.cycleLeaf(posted.payloads[i], posted.roots[i]);
        }
        path = new bytes32[](8);
        uint256 used = 0;
        for (uint256 width = nodes.length; width > 1; width = (width + 1) / 2) {
            if (index ^ 1 < width) path[used++] = nodes[index ^ 1];
            for (uint256 i = 0; i < (width + 1) / 2; ++i) {
                nodes[i] =
                    2 * i + 1 < width ? keccak256(bytes.concat(hex"01", nodes[2 * i], nodes[2 * i + 1])) : nodes[2 * i];
            }
            index /= 2;
        }
        assembly ("memory-safe") {
            mstore(path, used)
        }
    }

    function postBuilt(Posted memory posted) internal {
        post(posted.header, dataOf(posted));
    }

    /// @notice A state whose globals say what the header says.
    function stateFor(BatchHeader memory header) internal pure returns (StateParts memory parts, bytes32 root) {
        bytes memory globals = new bytes(Cells.GLOBALS_BYTES);
        bytes memory timeMs = Reference.littleEndian(header.timeMs, 8);
        bytes memory cursor = Reference.littleEndian(header.inboundCursor, 8);
        for (uint256 i = 0; i < 8; ++i) {
            globals[Cells.GLOBALS_TIME_MS + i] = timeMs[i];
            globals[Cells.GLOBALS_INBOUND_CURSOR + i] = cursor[i];
        }
        for (uint256 i = 0; i < 32; ++i) {
            globals[Cells.GLOBALS_INBOUND_HASH + i] = header.inboundHash[i];
        }
        parts = StateParts(keccak256("a"), keccak256("i"), keccak256("u"), keccak256("o"), globals);
        root = keccak256(
            abi.encode(
                parts.accountsRoot, parts.instrumentsRoot, parts.underlyingsRoot, parts.outboxRoot, keccak256(globals)
            )
        );
    }
}
